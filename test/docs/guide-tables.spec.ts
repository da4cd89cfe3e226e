import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  CircuitBreaker,
  type ResilienceEventDetails,
  type ResilienceEventType,
  RetryBudget,
  RetryConfig,
  adaptiveLimit,
  bulkhead,
  clientThrottle,
  fallback,
  hedge,
  isResilienceError,
  rateLimit,
  timeLimit,
} from 'nestjs-bulwark';
import { LIVE_GROUPS, LIVE_PARTS } from '../../lib/nest/live-changes.js';
import { root, tableBelow, textOf } from './markdown.js';

/** The tables of docs/guide/ say what the code does. */
type Options = Record<string, unknown>;

const guide = (page: string): string => join('docs/guide', page);
const nameIn = (cell = ''): string => /`([^`]+)`/.exec(cell)?.[1] ?? '';

/** A code span is a value or another option's name; prose says that there is no default. */
function defaultIn(cell: string, inForce: Options): unknown {
  const literal = /^`([^`]+)`$/.exec(cell)?.[1];
  if (literal === undefined) return undefined;
  if (literal in inForce) return inForce[literal];
  return JSON.parse(literal.replaceAll("'", '"').replace(/(\w+):/g, '"$1":'));
}

/** A function is told in prose. */
function literalOf(value: unknown): unknown {
  return typeof value === 'function' ? undefined : value;
}

interface Table {
  readonly page: string;
  readonly heading?: string;
  readonly make: (given: object) => object;
  /** What has no default. */
  readonly required?: Options;
}

const policies: readonly Table[] = [
  { page: 'retry.md', make: (given) => new RetryConfig(given) },
  {
    page: 'circuit-breaker.md',
    make: (given) => new CircuitBreaker('payments', given).options,
  },
  {
    page: 'time-limit.md',
    make: (given) => timeLimit(given as { limit: number }).options,
    required: { limit: 1000 },
  },
  { page: 'bulkhead.md', make: (given) => bulkhead(given).options },
  {
    page: 'rate-limit.md',
    make: (given) => rateLimit(given as { limit: number; interval: number }).options,
    required: { limit: 7, interval: 1000 },
  },
  { page: 'fallback.md', make: (given) => fallback(() => undefined, given).options },
  {
    page: 'hedge.md',
    make: (given) => hedge(given as { delay: number }).options,
    required: { delay: 50 },
  },
  { page: 'adaptive-limit.md', make: (given) => adaptiveLimit(given).options },
  { page: 'client-throttle.md', make: (given) => clientThrottle(given).options },
];

const windowOf = (type: 'count' | 'time'): object =>
  new CircuitBreaker('payments', { window: { type } }).options.window;

const parts: readonly Table[] = [
  { page: 'retry.md', heading: 'Budget', make: () => new RetryBudget().options },
  {
    page: 'circuit-breaker.md',
    heading: 'Options of a count window',
    make: () => windowOf('count'),
  },
  { page: 'circuit-breaker.md', heading: 'Options of a time window', make: () => windowOf('time') },
];

/** Own options of every policy: the page of the guide lists them once for all. */
const common = policies
  .map(({ make, required = {} }) => Object.keys(make(required)))
  .reduce((all, keys) => all.filter((key) => keys.includes(key)));

const tables = [...policies, ...parts].map((table) => ({ heading: 'Options', ...table }));

describe.each(tables)('$page, $heading', ({ page, heading, make, required = {} }) => {
  const inForce = { ...make(required) } as Options;
  const rows = tableBelow(guide(page), heading);
  const own = Object.keys(inForce).filter((key) => !common.includes(key));

  it('lists every option and no other', () => {
    expect(rows.map(([name]) => nameIn(name)).sort()).toEqual(own.sort());
  });

  it.each(rows.map(([name, value = '', unit = '']) => [nameIn(name), value, unit]))(
    'has the default of %s: %s',
    (name, value, unit) => {
      const { [name]: left, ...others } = required;
      expect({ name, isRequired: left !== undefined }).toEqual({
        name,
        isRequired: value === 'required',
      });
      if (left === undefined) {
        expect(defaultIn(value, inForce)).toEqual(literalOf(inForce[name]));
      } else {
        expect(issuesOf(() => make(others))).toEqual([expect.stringContaining(`.${name}`)]);
      }
      if (typeof inForce[name] === 'number') expect(unit).not.toBe('');
    },
  );
});

function issuesOf(make: () => unknown): readonly string[] {
  try {
    make();
  } catch (error) {
    if (isResilienceError(error, 'INVALID_CONFIG')) return error.issues;
  }
  return [];
}

if (common.length > 0) {
  it('lists once what every policy takes', () => {
    const listed = tableBelow(guide('README.md'), 'Options of every policy');
    expect(listed.map(([name]) => nameIn(name)).sort()).toEqual(common.sort());
  });
}

type Told = { readonly [T in ResilienceEventType]: Record<keyof ResilienceEventDetails[T], true> };

it('lists every event with what it tells', () => {
  const known: Told = {
    'breaker.opened': { from: true, error: true, opening: true },
    'breaker.half-opened': { from: true },
    'breaker.closed': { from: true },
    'breaker.isolated': { from: true },
    'breaker.disabled': { from: true },
    'breaker.rejected': { state: true },
    'breaker.spared': { state: true },
    'retry.scheduled': { attempt: true, error: true, delay: true },
    'retry.recovered': { attempts: true },
    'retry.exhausted': { attempts: true, error: true, reason: true },
    'time-limit.exceeded': { limit: true },
    'time-limit.spared': { limit: true },
    'bulkhead.rejected': { reason: true },
    'bulkhead.spared': { reason: true },
    'rate-limit.rejected': { retryAfter: true },
    'rate-limit.spared': { retryAfter: true },
    'adaptive-limit.rejected': { limit: true },
    'throttle.rejected': { rejectionRate: true },
    'fallback.served': { error: true },
    'fallback.failed': { error: true, cause: true },
    'hedge.started': { hedge: true },
    'hedge.won': { hedge: true },
  };
  const listed = tableBelow(guide('events.md'), 'Every event').map(([type, details = '']) => [
    nameIn(type),
    [...details.matchAll(/`([^`]+)`/g)].map(([, name]) => name).sort(),
  ]);
  const told = Object.entries(known).map(([type, details]) => [type, Object.keys(details).sort()]);
  expect(listed).toEqual(told);
});

it('lists every rule of the start-up report', () => {
  const source = readFileSync(join(root, 'lib/nest/inspector/rules.ts'), 'utf8');
  const rules = [...source.matchAll(/^ {2}'([a-z-]+)': \(/gm)].map(([, rule]) => rule);
  const listed = tableBelow(guide('inspector.md'), 'Rules').map(([rule]) => nameIn(rule));
  expect(rules.length).toBeGreaterThan(5);
  expect(listed).toEqual(rules);
});

it.each([
  ['Several at once', LIVE_GROUPS],
  ['Parts of a named policy', LIVE_PARTS],
])('lists everything that can change: %s', (heading, names) => {
  const listed = tableBelow(guide('live-configuration.md'), heading).map(([name]) => nameIn(name));
  expect(listed).toEqual(names);
});

interface OrderProgram {
  readonly columns: readonly string[];
  readonly experiments: Readonly<Record<string, unknown>>;
  rowsOf(experiment: string): Promise<string[][]>;
}

describe('order.md shows what its program computes', () => {
  const path = join(root, 'docs/programs/order.mjs');
  let program: OrderProgram;
  beforeAll(async () => {
    program = (await import(pathToFileURL(path).href)) as OrderProgram;
  });

  it.each([
    'Retry and circuit breaker',
    'Retry and time limit',
    'Circuit breaker and time limit',
    'Retry and bulkhead',
    'Retry and fallback',
    'Retry and hedge',
  ])('%s', async (experiment) => {
    expect(tableBelow(guide('order.md'), experiment)).toEqual(await program.rowsOf(experiment));
  });

  it('and its text repeats the figures of the tables', () => {
    const failed = tableBelow(guide('order.md'), 'Retry and circuit breaker').map((row) => row[2]);
    const atOnce = tableBelow(guide('order.md'), 'Circuit breaker and time limit').map(
      (row) => row[3],
    );
    const text = textOf(guide('order.md')).replaceAll('\n', ' ');
    const [, alone = '', retryOutside = '', breakerOutside = ''] = failed;
    expect(text).toContain(
      `fails ${retryOutside} tries in one order, ${breakerOutside} in the other, ${alone} without a breaker`,
    );
    expect(text).toContain(`and ${atOnce[2] ?? ''} calls pile up in the dependency`);
  });

  it('and no less', () => {
    const shown = Object.keys(program.experiments).map(
      (name) => tableBelow(guide('order.md'), name).length,
    );
    expect(shown).toHaveLength(6);
  });
});
