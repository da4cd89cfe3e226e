/**
 * node --expose-gc bench/programs/keyed.mjs
 *
 * What a breaker for each of 100,000 keys costs: a million calls over so many keys, in memory and in
 * time beside one breaker. Needs a build. Exit code 1 where a budget is missed: 60 MB, memory that stays
 * flat once full, no open breaker evicted. The times are for reading, beside a plain `Map` of counters:
 * 100,000 keys do not fit a processor's cache, whatever is kept for each, and in no order each of them is
 * fetched from memory.
 */
import { CircuitBreaker, KeyedCircuitBreakers } from '../../dist/esm/core/index.js';

const KEYS = 100_000;
const CALLS = 1_000_000;
const ROUNDS = 5;
const OPEN = 1_000;
const MB = 2 ** 20;
const MOST_MB = 60;
const down = new Error('down');

function heapMb() {
  gc();
  gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return (heapUsed + arrayBuffers) / MB;
}

// Strings of the caller's, made beforehand: neither their making nor their memory is the breakers'.
const keys = Array.from({ length: 2 * KEYS }, (_, at) => `tenant-${at}`);
/** Keys in an order that no processor foresees: a stride prime to their number. */
const keyAt = (call, count = KEYS) => keys[(call * 7_919) % count];
const inTurn = (call) => keys[call % KEYS];

const work = async () => 'fine';
const failing = async () => {
  throw down;
};

async function nanosecondsPerCall(calls, call) {
  const before = performance.now();
  for (let at = 0; at < calls; at++) await call(at);
  return ((performance.now() - before) * 1e6) / calls;
}

const median = (values) => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)];

// Memory.
const options = { maxKeys: KEYS, failureThreshold: 1, recoveryTimeout: '1h' };
const before = heapMb();
const family = new KeyedCircuitBreakers('tenants', options);
const keyed = family.by((key) => key).wrap((key, run) => run());
const settle = (promise) => promise.catch(() => undefined);
for (let at = 0; at < OPEN; at++) await settle(keyed(keys[at], failing));
for (let call = 0; call < KEYS; call++) await settle(keyed(keys[call], work));
const full = heapMb() - before;
for (let call = 0; call < CALLS; call++) await settle(keyed(keyAt(call), work));
const later = heapMb() - before;
// Twice as many keys: every one of them new or evicted before.
const churn = async () => {
  for (let call = 0; call < CALLS; call++) await settle(keyed(keyAt(call, 2 * KEYS), work));
  return heapMb() - before;
};
const [churned, churnedOn] = [await churn(), await churn()];
const { keys: known, notClosed, evicted } = family.summary();

// Time, in turns: one breaker, one key of the family, all of its keys, and keys that push others out:
// in a family of their own, or the other cases would begin with making again what was pushed out.
const single = new CircuitBreaker('single', options).wrap((key, run) => run());
const familyOf = (name) =>
  new KeyedCircuitBreakers(name, options).by((key) => key).wrap((key, run) => run());
const fresh = familyOf('kept');
const pushed = familyOf('pushed out');
// The least that a call by key can be: a look-up, and counting on what it finds.
const counters = new Map(keys.slice(0, KEYS).map((key) => [key, { calls: 0, ended: 0 }]));
const counted = (key, run) => {
  const counter = counters.get(key);
  counter.calls++;
  return run().then((value) => {
    counter.ended++;
    return value;
  });
};
const cases = {
  'a plain Map of counters, one key': () => counted(keys[0], work),
  'a plain Map of counters, 100,000 keys in turn': (call) => counted(inTurn(call), work),
  'a plain Map of counters, in no order': (call) => counted(keyAt(call), work),
  'one breaker': (call) => single(keyAt(call), work),
  'keyed, one key': () => fresh('a', work),
  'keyed, 1,000 keys': (call) => fresh(keyAt(call, 1_000), work),
  'keyed, 100,000 keys in turn': (call) => fresh(inTurn(call), work),
  'keyed, 100,000 keys in no order': (call) => fresh(keyAt(call), work),
  'keyed, 200,000 keys for 100,000 places': (call) => pushed(keyAt(call, 2 * KEYS), work),
};
const times = Object.fromEntries(Object.keys(cases).map((name) => [name, []]));
for (let round = 0; round <= ROUNDS; round++) {
  for (const [name, call] of Object.entries(cases)) {
    const time = await nanosecondsPerCall(CALLS / 4, call);
    if (round > 0) times[name].push(time); // the first is warming up
  }
}

console.log(`${process.version}, ${KEYS} keys, ${CALLS} calls`);
console.log(
  `memory once full     ${full.toFixed(1)} MB, ${Math.round((full * MB) / KEYS)} B a key`,
);
console.log(`after 1,000,000      ${later.toFixed(1)} MB`);
console.log(
  `after evictions      ${churned.toFixed(1)} MB, ${churnedOn.toFixed(1)} MB; ${evicted} evicted`,
);
console.log(`keys ${known}, not closed ${JSON.stringify(notClosed)}`);
const base = median(times['one breaker']);
for (const [name, all] of Object.entries(times)) {
  const time = median(all);
  console.log(`${name.padEnd(46)} ${time.toFixed(0)} ns, ${(time / base).toFixed(2)}x`);
}

const missed = [
  churnedOn > MOST_MB && `${churnedOn.toFixed(1)} MB of ${MOST_MB} MB`,
  later > full * 1.05 + 1 && 'memory grows with calls',
  churnedOn > churned * 1.05 + 1 && 'memory grows with evictions',
  known > KEYS && 'more keys than maxKeys',
  notClosed.open !== OPEN && 'an open breaker was evicted',
].filter(Boolean);
for (const each of missed) console.error(`Over its budget: ${each}`);
process.exitCode = missed.length > 0 ? 1 : 0;
