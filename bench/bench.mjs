/**
 * npm run bench                     everything; exit code 1 where a budget is missed by more than 15%
 * npm run bench -- --quick          fewer rounds and processes, no HTTP
 * npm run bench -- --only retry     cases whose id begins so; several with commas
 * npm run bench -- --write          puts the results of this Node version into RESULTS.md
 * npm run bench -- --no-build       measures dist/ as it is
 */
import { readFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { format } from 'prettier';
import { ensureBuilt, ensureInstalled } from '../scripts/steps.mjs';
import { CURVE, IN_FLIGHT, cases, libraries, programs } from './cases.mjs';
import { missedBudgets, report } from './report.mjs';
import { writeResults } from './results.mjs';
import { runChild } from './run-child.mjs';
import { median } from './statistics.mjs';

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    only: { type: 'string' },
    write: { type: 'boolean', default: false },
    build: { type: 'boolean', default: true },
  },
  allowNegative: true,
});
if (options.write && (options.quick || options.only !== undefined)) {
  console.error('--write needs a full run: it replaces the whole section of this Node version');
  process.exit(2);
}
const effort = options.quick
  ? { processes: 1, rounds: 9, milliseconds: 3 }
  : { processes: 3, rounds: 15, milliseconds: 8 };
const wanted = options.only?.split(',');
const isWanted = ({ id }) => wanted === undefined || wanted.some((each) => id.startsWith(each));
const isSkippedInQuick = ({ id }) => options.quick && wanted === undefined && id === 'http';

await ensureInstalled(fileURLToPath(new URL('.', import.meta.url)));
if (options.build) await ensureBuilt();

const began = Date.now();
const results = { load: loadavg()[0], libraries: versions(), cases: {}, programs: {}, notes: [] };
for (const item of cases.filter(isWanted)) results.cases[item.id] = await measureCase(item);
for (const item of programs.filter(isWanted)) {
  if (!isSkippedInQuick(item)) results.programs[item.id] = await measureProgram(item);
}
const text = await format(report(results, options), { parser: 'markdown' });
console.log(`\n${text}`);
console.log(`Took ${Math.round((Date.now() - began) / 1_000)} s.`);
if (options.write) await writeResults(text);
const missed = missedBudgets(results);
for (const line of missed) console.error(`Over its budget by more than 15%: ${line}`);
process.exitCode = missed.length > 0 ? 1 : 0;

async function measureCase({ id, kind = 'call' }) {
  const byLibrary = {};
  for (const library of libraries) {
    const task = { library: library.id, variant: id, kind, effort };
    const times = await repeat(effort.processes, { program: 'times', ...task });
    if (isNote(times, id, library)) continue;
    byLibrary[library.id] = times;
    progress(id, library.id, `${times.ratio.toFixed(2)}x`);
    // Only ours have a budget, and a daily run is to be short.
    if (options.quick && library.id !== 'ours') continue;
    const bytes = await repeat(1, { program: 'bytes', ...task });
    if (!isNote(bytes, id, library)) Object.assign(times, bytes);
  }
  return byLibrary;
}

async function measureProgram({ id }) {
  if (id === 'idle' || id === 'in-flight') return measureForAll(id);
  if (id === 'start-up') return measureStartUp();
  if (id === 'http') return (await import('./http/measure.mjs')).measureHttp(options.quick);
  return measureCurve(id);
}

async function measureForAll(program) {
  const byLibrary = {};
  const rounds = options.quick ? 1 : 5;
  for (const library of libraries) {
    const task = { program, library: library.id, sizes: IN_FLIGHT, effort: { rounds } };
    const result = await repeat(program === 'idle' ? 1 : effort.processes, task);
    if (isNote(result, program, library)) continue;
    byLibrary[library.id] = result;
    progress(program, library.id, JSON.stringify(result));
  }
  return byLibrary;
}

async function measureCurve(program) {
  const points = [];
  for (const size of CURVE) {
    const point = await repeat(effort.processes, { program, size, effort });
    if (isNote(point, program, libraries[0])) break;
    points.push({ size, ...point });
    progress(program, size, `${point.ratio.toFixed(2)}x`);
  }
  return points;
}

/** A cold process for each: an application starts once. */
async function measureStartUp() {
  const times = { bare: [], module: [], protected: [] };
  for (let round = 0; round < (options.quick ? 3 : 9); round++) {
    for (const variant of Object.keys(times)) {
      const result = await runChild({ program: 'start-up', variant });
      if (!isNote(result, 'start-up', libraries[0])) times[variant].push(result.milliseconds);
    }
  }
  if (Object.values(times).some((list) => list.length === 0)) return undefined;
  const medians = Object.entries(times).map(([variant, list]) => [variant, median(list)]);
  progress('start-up', '', JSON.stringify(Object.fromEntries(medians)));
  return Object.fromEntries(medians);
}

/** The median of each figure over several processes. */
async function repeat(processes, task) {
  const answers = [];
  for (let at = 0; at < processes; at++) {
    const answer = await runChild(task);
    if ('skipped' in answer || 'failed' in answer) return answer;
    answers.push(answer);
  }
  const figures = Object.keys(answers[0]).map((key) => [key, answers.map((each) => each[key])]);
  return Object.fromEntries(figures.map(([key, values]) => [key, medianOf(values)]));
}

function medianOf(values) {
  if (!Array.isArray(values[0])) return median(values);
  const shortest = Math.min(...values.map((list) => list.length));
  return values[0].slice(0, shortest).map((_, at) => median(values.map((list) => list[at])));
}

/** Whether there is no figure: a policy that a library has not, or a failure, which is worth a note. */
function isNote(answer, id, library) {
  if ('skipped' in answer && library.id !== 'ours') return true;
  const reason = answer.skipped ?? answer.failed;
  if (reason === undefined) return false;
  const note = `${id}, ${library.title}: ${reason.split('\n')[0]}`;
  results.notes.push(note);
  console.log(`${'skipped' in answer ? 'Skipped' : 'Failed'}: ${answer.failed ?? note}`);
  return true;
}

function progress(id, name, figure) {
  console.log(`${id.padEnd(20)} ${String(name).padEnd(18)} ${figure}`);
}

function versions() {
  return libraries.map((library) => ({ ...library, version: versionOf(library) }));
}

function versionOf({ id, package: folder }) {
  if (id !== 'ours' && folder === undefined) return '';
  const path = id === 'ours' ? '../package.json' : `node_modules/${folder}/package.json`;
  return JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')).version;
}
