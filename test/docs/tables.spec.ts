import * as bulwark from 'nestjs-bulwark';
import type { ModuleVisibility, ResilienceModuleOptions } from 'nestjs-bulwark';
import { tableBelow } from './markdown.js';

/** The tables of README.md say what the code does. */
const { CircuitBreaker, CircuitState, RetryConfig } = bulwark;

const codeSpans = (cell: string): string[] =>
  [...cell.matchAll(/`([^`]+)`/g)].map(([, code = '']) => code);
const nameIn = (cell = ''): string => codeSpans(cell)[0] ?? '';

/** A code span is a value or another option's name; prose says that there is no default. */
function defaultIn(cell: string, resolved: Record<string, unknown>): unknown {
  const literal = /^`([^`]+)`$/.exec(cell)?.[1];
  if (literal === undefined) return undefined;
  if (literal in resolved) return resolved[literal];
  return JSON.parse(literal.replaceAll("'", '"').replace(/(\w+):/g, '"$1":'));
}

describe.each([
  ['Retry options', new RetryConfig()],
  ['Circuit breaker options', new CircuitBreaker().options],
])('%s', (heading, resolved) => {
  const inForce = Object.fromEntries(Object.entries(resolved)) as Record<string, unknown>;
  const rows = tableBelow('README.md', heading);

  it('lists every option and no other', () => {
    expect(rows.map(([name]) => nameIn(name)).sort()).toEqual(Object.keys(inForce).sort());
  });

  it.each(rows.map(([name, value = '']) => [nameIn(name), value]))(
    'has the default of %s: %s',
    (name, value) => {
      expect(defaultIn(value, inForce)).toEqual(inForce[name]);
    },
  );
});

it('lists every module option', () => {
  const known: Record<keyof (ResilienceModuleOptions & ModuleVisibility), true> = {
    strict: true,
    events: true,
    circuitBreakers: true,
    bulkheads: true,
    rateLimits: true,
    adaptiveLimits: true,
    throttles: true,
    hedges: true,
    retries: true,
    budgets: true,
    policies: true,
    defaults: true,
    http: true,
    runtime: true,
    isGlobal: true,
  };
  const listed = tableBelow('README.md', 'Module options').map(([name]) => nameIn(name));
  expect(listed.sort()).toEqual(Object.keys(known).sort());
});

const errors = [
  new bulwark.CircuitBreakerError('payments', { remainingTimeout: 1 }),
  new bulwark.RetryExhaustedError({ attempts: 3, lastException: new Error('down') }),
  new bulwark.TimeoutError(1),
  new bulwark.BulkheadRejectedError('reports'),
  new bulwark.RateLimitedError('api', { retryAfter: 1 }),
  new bulwark.ThrottledError('api'),
  new bulwark.ResilienceConfigError(['wrong']),
];

/** What an error tells beside its message and its code. */
function fieldsOf(error: Error): string[] {
  const everywhere = new Set(['stack', 'message', 'code']);
  return Object.getOwnPropertyNames(error).filter((name) => !everywhere.has(name));
}

it('lists every error with its code and fields', () => {
  const listed = tableBelow('README.md', 'Errors').map(([name, code, , fields = '']) => {
    return { name: nameIn(name), code: nameIn(code), fields: codeSpans(fields).sort() };
  });
  const written = errors.map((error) => {
    const { name, code } = error;
    return { name, code, fields: fieldsOf(error).sort() };
  });
  expect(listed).toEqual(written);
});

it('lists every state of a breaker', () => {
  const listed = tableBelow('README.md', 'States of a circuit breaker').map(([name]) =>
    nameIn(name),
  );
  expect(listed).toEqual(Object.values(CircuitState));
});

it('maps documented names to names that exist', () => {
  const breaker = new CircuitBreaker();
  const known = new Set([
    ...Object.keys(bulwark),
    ...Object.keys(new RetryConfig()),
    ...Object.keys(breaker.options),
    ...Object.keys(breaker.stats),
    ...Object.keys(CircuitState),
    ...errors.flatMap(fieldsOf),
    'CircuitBreakerStats', // a type
  ]);
  const mapped = tableBelow('README.md', 'Names').flatMap(([, ours = '']) => codeSpans(ours));
  const unknown = mapped.map((name) => name.replace(/^@/, ''));
  expect(mapped.length).toBeGreaterThan(30);
  expect(unknown.filter((name) => !known.has(name) && !(name in breaker))).toEqual([]);
});
