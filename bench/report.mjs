import { arch, cpus, platform, totalmem } from 'node:os';
import { CURVE, IN_FLIGHT, cases, programs } from './cases.mjs';

const TOLERANCE = 1.15;
const NONE = '-';

/** One line for each budget that is missed by more than 15%. */
export function missedBudgets(results) {
  return [...budgets(results)]
    .filter(({ value, budget }) => value > budget * TOLERANCE)
    .map(
      ({ title, value, budget, unit }) => `${title}: ${round(value)}${unit} of ${budget}${unit}`,
    );
}

function* budgets(results) {
  for (const { id, title, budget } of cases) {
    const ours = results.cases[id]?.ours;
    if (ours === undefined || budget === undefined) continue;
    yield { title, value: ours.ratio, budget: budget.ratio, unit: 'x' };
    if (budget.bytes === undefined || ours.bytes === undefined) continue;
    yield { title, value: ours.bytes - ours.bareBytes, budget: budget.bytes, unit: ' B' };
  }
  const [idle, inFlight] = programs;
  const ours = results.programs.idle?.ours;
  if (ours) {
    yield { title: idle.title, value: ours.bytes, budget: idle.budget.bytes, unit: ' B' };
    yield { title: idle.title, value: ours.timers, budget: idle.budget.timers, unit: ' timers' };
  }
  const growth = results.programs['in-flight']?.ours?.growth[2];
  if (growth === undefined) return;
  yield { title: '10,000 in flight', value: growth, budget: inFlight.budget.growth, unit: 'x' };
}

/** The results as Markdown. */
export function report(results, options) {
  const parts = [
    header(results, options),
    ratios(results),
    absolute(results),
    idle(results),
    inFlight(results),
    curve(results, 'curve-breakers', 'breakers'),
    curve(results, 'curve-methods', 'protected methods'),
    startUp(results.programs['start-up']),
    http(results.programs.http),
    notes(results.notes),
  ];
  return parts.filter((part) => part !== '').join('\n\n');
}

function header({ libraries, load }, { quick }) {
  const { node, v8 } = process.versions;
  const machine = `${cpus()[0].model.trim()}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GB`;
  const peers = libraries.filter(({ version }) => version !== '');
  return [
    `- Node ${node} (V8 ${v8}), ${platform()} ${arch()}, ${machine}`,
    `- ${new Date().toISOString().slice(0, 10)}, load before the run ${round(load)}${quick ? ', `--quick`: rough figures' : ''}`,
    `- ${peers.map(({ title, version }) => `${title} ${version}`).join(', ')}`,
  ].join('\n');
}

function columnsOf({ libraries, cases: measured }) {
  const seen = new Set(Object.values(measured).flatMap(Object.keys));
  return libraries.filter(({ id }) => seen.has(id));
}

function ratios(results) {
  const columns = columnsOf(results);
  if (columns.length === 0) return '';
  const rows = rowsOf(results).map(({ title, budget, byLibrary }) => [
    title,
    budget === undefined ? NONE : `${budget.ratio}x`,
    ...columns.map(({ id }) => {
      const result = byLibrary[id];
      const cell = result ? `${round(result.ratio)}x` : NONE;
      const isOver = id === 'ours' && budget && result && result.ratio > budget.ratio;
      return isOver ? `**${cell}**` : cell;
    }),
  ]);
  return [
    '### Ratios to the bare call',
    table(['path', 'budget', ...columns.map(heading)], rows),
    'In bold: over the budget.',
  ].join('\n\n');
}

function absolute(results) {
  const columns = columnsOf(results);
  if (columns.length === 0) return '';
  const rows = rowsOf(results).map(({ title, budget, byLibrary }) => [
    title,
    budget?.bytes === undefined ? NONE : `+${budget.bytes} B`,
    ...columns.map(({ id }) => {
      const result = byLibrary[id];
      if (result === undefined) return NONE;
      const { ns, bareNs, bytes, bareBytes } = result;
      const more = bytes === undefined ? '' : `, +${Math.round(bytes - bareBytes)} B`;
      return `${Math.round(ns)} (${Math.round(bareNs)}) ns${more}`;
    }),
  ]);
  return [
    '### Nanoseconds and bytes of one call',
    'In brackets the bare call in the same process; bytes are those on top of the bare call.',
    table(['path', 'budget', ...columns.map(heading)], rows),
  ].join('\n\n');
}

function rowsOf(results) {
  return cases
    .filter(({ id }) => Object.keys(results.cases[id] ?? {}).length > 0)
    .map((item) => ({ ...item, byLibrary: results.cases[item.id] }));
}

function idle({ programs: { idle: byLibrary }, libraries }) {
  if (byLibrary === undefined) return '';
  const rows = libraries
    .filter(({ id }) => id in byLibrary)
    .map((library) => {
      const { bytes, usedBytes, timers } = byLibrary[library.id];
      return [
        heading(library),
        ...[bytes, usedBytes].map((b) => `${Math.round(b)} B`),
        round(timers),
      ];
    });
  const { budget } = programs.find(({ id }) => id === 'idle');
  return [
    '### An idle breaker',
    `100,000 of them. Budget: ${budget.bytes} B before the first call, and no timer.`,
    table(['', 'never called', 'after one call', 'timers'], rows),
  ].join('\n\n');
}

function inFlight({ programs: { 'in-flight': byLibrary }, libraries }) {
  if (byLibrary === undefined) return '';
  const cells = (ns, growth) =>
    IN_FLIGHT.map((_, at) =>
      growth[at] === undefined ? 'too slow' : `${Math.round(ns[at])} ns, ${round(growth[at])}x`,
    );
  const rows = libraries
    .filter(({ id }) => id in byLibrary)
    .flatMap((library) => {
      const { ns, bareNs, growth, bareGrowth } = byLibrary[library.id];
      const own = [heading(library), ...cells(ns, growth)];
      return library.id === 'ours' ? [['bare', ...cells(bareNs, bareGrowth)], own] : [own];
    });
  return [
    '### Calls in flight through retry + breaker + time limit',
    'The cost of one call, and how it compares with 10 in flight. Budget: 1.5x at 10,000.',
    table(['in flight', ...IN_FLIGHT.map(thousands)], rows),
  ].join('\n\n');
}

function curve(results, id, what) {
  const points = results.programs[id];
  if (points === undefined || points.length === 0) return '';
  const sized = CURVE.slice(0, points.length);
  return [
    `### Cost by number of ${what}`,
    'Called in turn, against plain objects called in turn.',
    table(
      [what, ...sized.map(thousands)],
      [
        ['ratio', ...points.map(({ ratio }) => `${round(ratio)}x`)],
        ['one call', ...points.map(({ ns }) => `${Math.round(ns)} ns`)],
        ['bare', ...points.map(({ bareNs }) => `${Math.round(bareNs)} ns`)],
      ],
    ),
  ].join('\n\n');
}

function startUp(times) {
  if (times === undefined) return '';
  return [
    '### Start-up of a Nest application with 1,000 methods in 100 providers',
    table(
      ['without the library', 'with the module', 'every method `@Retry` and `@CircuitProtected`'],
      [[times.bare, times.module, times.protected].map((value) => `${round(value)} ms`)],
    ),
  ].join('\n\n');
}

function http(routes) {
  if (routes === undefined) return '';
  const rows = routes.map(({ route, requests, p99, share }) => [
    route,
    thousands(Math.round(requests)),
    `${round(share * 100)}%`,
    `${round(p99)} ms`,
  ]);
  return [
    '### HTTP, Express, loopback, 50 connections',
    '`/nest` goes through an interceptor that does nothing: what Nest takes for any.',
    table(['route', 'requests/s', 'of the plain route', 'p99'], rows),
  ].join('\n\n');
}

function notes(list) {
  if (list.length === 0) return '';
  return ['### Not measured', list.map((note) => `- ${note}`).join('\n')].join('\n\n');
}

function heading({ title, version }) {
  return version === '' ? title : `${title} ${version}`;
}

function table(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function round(value) {
  return value >= 100 ? String(Math.round(value)) : String(Number(value.toPrecision(3)));
}

function thousands(value) {
  return value.toLocaleString('en-US');
}
