/** What is measured, in the order of the table. Budgets: `ratio` to a bare await, `bytes` on top of it. */
export const cases = [
  {
    id: 'breaker',
    title: 'breaker, consecutive, `execute`',
    budget: { ratio: 1.8, bytes: 150 },
  },
  {
    id: 'breaker-decorated',
    title: 'breaker, consecutive, decorated',
    budget: { ratio: 1.8, bytes: 150 },
  },
  {
    id: 'breaker-arguments',
    title: 'the same, called with two arguments',
    budget: { ratio: 1.8, bytes: 150 },
  },
  { id: 'window-count', title: 'breaker, count window', budget: { ratio: 2 } },
  { id: 'window-time', title: 'breaker, time window', budget: { ratio: 3 } },
  { id: 'retry', title: 'retry, first try succeeds', budget: { ratio: 1.8 } },
  { id: 'time-limit', title: 'time limit, in time', budget: { ratio: 5 } },
  { id: 'bulkhead', title: 'bulkhead, a slot is free' },
  { id: 'fallback', title: 'fallback, not needed' },
  {
    id: 'pipeline',
    title: 'retry + breaker + time limit',
    budget: { ratio: 6 },
  },
  { id: 'common', title: 'fallback + breaker + bulkhead + time limit' },
  {
    id: 'policy',
    title: 'the full named policy',
  },
  {
    id: 'open',
    title: 'breaker, open',
    budget: { ratio: 1.3 },
    kind: 'rejection',
  },
  {
    id: 'observable',
    title: 'breaker around an Observable',
    kind: 'observable',
  },
];

/** Those that are not a ratio to one awaited call. */
export const programs = [
  { id: 'idle', title: 'idle breaker: bytes and timers', budget: { bytes: 400, timers: 0 } },
  {
    id: 'in-flight',
    title: 'calls in flight through retry + breaker + time limit',
    budget: { growth: 1.5 },
  },
  { id: 'curve-breakers', title: 'cost by number of breakers' },
  { id: 'curve-methods', title: 'cost by number of protected methods' },
  { id: 'start-up', title: 'start-up of a Nest application with 1,000 methods' },
  { id: 'http', title: 'HTTP: requests per second and p99' },
];

export const IN_FLIGHT = [10, 1_000, 10_000, 50_000];
export const CURVE = [1, 16, 256, 4_096];

const onNewNode = Number(process.versions.node.split('.')[0]) >= 22;

/** `package` names the folder in bench/node_modules; the hand-written ones have none. */
export const libraries = [
  { id: 'ours', title: 'ours' },
  { id: 'cockatiel', title: 'cockatiel', package: 'cockatiel' },
  ...(onNewNode ? [{ id: 'cockatiel-4', title: 'cockatiel', package: 'cockatiel-4' }] : []),
  { id: 'opossum', title: 'opossum', package: 'opossum' },
  ...(onNewNode ? [{ id: 'opossum-10', title: 'opossum', package: 'opossum-10' }] : []),
  { id: 'mollitia', title: 'mollitia', package: 'mollitia' },
  { id: 'nestjs-resilience', title: 'nestjs-resilience', package: 'nestjs-resilience' },
  { id: 'hand-least', title: 'the least by hand' },
  { id: 'hand-then', title: 'one `.then`' },
  { id: 'hand-async', title: 'one `async`' },
];
