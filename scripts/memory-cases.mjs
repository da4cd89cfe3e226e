/** What must not grow: how it is used, how often, and the bytes that it may keep of all that. */
import { CircuitBreaker, KeyedCircuitBreakers } from '../dist/esm/core/index.js';
import { FakeClock } from '../dist/esm/testing/index.js';

const down = new Error('down');
const rates = { failureRate: 1, minimumCalls: 100, slowCallRate: 1, slowCallDuration: 5 };

/** Calls of one breaker, every fourth of which fails. */
function callsOf(options) {
  const clock = new FakeClock();
  const breaker = new CircuitBreaker('b', options, { runtime: { clock } });
  return (call) => {
    clock.jump(3);
    const permit = breaker.tryAcquire();
    if (call % 4 === 0) permit.failure(down);
    else permit.success();
  };
}

/** A call each of keys that were not there before. */
function keysOf(options, settle) {
  const clock = new FakeClock();
  const family = new KeyedCircuitBreakers('tenants', options, { runtime: { clock } });
  return (key) => settle(family.for(`tenant-${key}`).tryAcquire());
}

/** The table of a WeakMap doubles and shrinks as collections happen to come; a breaker for each key is 10 MB or more. */
const FAMILY = 4_000_000;

export const cases = {
  'a consecutive window': { times: 1_000_000, bytes: 10_000, make: () => callsOf({}) },
  'a count window': {
    times: 1_000_000,
    bytes: 10_000,
    make: () => callsOf({ window: { type: 'count', size: 500, ...rates } }),
  },
  'a time window': {
    times: 1_000_000,
    bytes: 10_000,
    make: () => callsOf({ window: { type: 'time', duration: '10s', ...rates } }),
  },
  'keys that succeed': {
    times: 800_000, // a million with the warm-up
    bytes: FAMILY,
    make: () => keysOf({}, (permit) => permit?.success()),
  },
  'keys that trip at once': {
    times: 50_000,
    bytes: FAMILY,
    make: () => keysOf({ failureThreshold: 1 }, (permit) => permit?.failure(down)),
  },
  'keys that hang': { times: 25_000, bytes: FAMILY, make: () => keysOf({}, () => undefined) },
};

function heapNow() {
  for (let round = 0; round < 4; round++) gc();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

const LEGS = 4;

/** The bytes kept of the calls after a warm-up, over the least that was held after any leg of them. */
export function growthOf({ times, make }) {
  const use = make();
  const held = [];
  let call = 0;
  for (let leg = 0; leg <= LEGS; leg++) {
    for (const end = (times / LEGS) * (leg + 1); call < end; call++) use(call);
    held.push(heapNow());
  }
  return held.at(-1) - Math.min(...held.slice(0, -1));
}
