/**
 * The figures of docs/guide/order.md: what each order of policies costs, on a virtual clock.
 * Run it in a built checkout: `node docs/programs/order.mjs`.
 */
/* global AbortController */
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  CircuitBreaker,
  bulkhead,
  fallback,
  hedge,
  pipeline,
  retry,
  timeLimit,
} from 'nestjs-bulwark/core';
import { FakeClock } from 'nestjs-bulwark/testing';

const CALLS = 1000;
const EVERY = 50; // ms: 20 calls a second for 50 seconds

/** Mulberry32: the same numbers in [0, 1) for the same seed, everywhere. */
function seeded(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
  };
}

/**
 * Something remote. The luck of the n-th try of a call is the same under every order. A try stops when
 * its signal is aborted, as `fetch` does, unless it is deaf.
 */
class Dependency {
  tries = 0;
  failed = 0;
  mostAtOnce = 0;
  #running = 0;
  #triesOf = new Map();

  /** @param behaviour (chance, now) => { fails, takes, deaf }: what a try does; `deaf` ones hear no abort */
  constructor(clock, behaviour) {
    this.clock = clock;
    this.behaviour = behaviour;
  }

  answer(call, signal) {
    const number = (this.#triesOf.get(call) ?? 0) + 1;
    this.#triesOf.set(call, number);
    this.tries++;
    this.mostAtOnce = Math.max(this.mostAtOnce, ++this.#running);
    const chance = seeded(call * 100 + number)();
    const { fails, takes, deaf } = this.behaviour(chance, this.clock.now());
    return new Promise((answer, reject) => {
      const timer = this.clock.setTimeout(() => {
        if (fails) this.failed++;
        if (fails) reject(new Error('unavailable'));
        else answer('answer');
      }, takes);
      if (deaf) return;
      signal.addEventListener('abort', () => {
        this.clock.clearTimeout(timer);
        reject(signal.reason);
      });
    }).finally(() => this.#running--);
  }
}

/** Sends the calls through the policy, one every 50 ms whatever comes back, and adds up what came. */
async function simulate(behaviour, makers) {
  const clock = new FakeClock();
  const runtime = { clock, random: seeded(1) };
  const dependency = new Dependency(clock, behaviour);
  const policies = makers.map((make) => make({ runtime }));
  const policy = policies.length === 0 ? undefined : pipeline(...policies);
  const latencies = [];
  const outcomes = { answer: 0, fallback: 0, error: 0 };
  let sent = 0;
  const send = () => {
    const call = ++sent;
    const began = clock.now();
    const work = ({ signal }) => dependency.answer(call, signal);
    (policy === undefined ? work({ signal: new AbortController().signal }) : policy.execute(work))
      .then(
        (value) => outcomes[value]++,
        () => outcomes.error++,
      )
      .finally(() => latencies.push(clock.now() - began));
    if (sent < CALLS) clock.setTimeout(send, EVERY);
  };
  send();
  await clock.runAll();
  latencies.sort((a, b) => a - b);
  return {
    dependency,
    answered: outcomes.answer / CALLS,
    fallbacks: outcomes.fallback / CALLS,
    mean: latencies.reduce((sum, each) => sum + each, 0) / CALLS,
    p99: latencies[Math.ceil(CALLS * 0.99) - 1],
    slowest: latencies.at(-1),
  };
}

const tries = (setting) => retry({ maxAttempts: 3, baseDelay: 100 }, setting);
const breaker = (setting) =>
  new CircuitBreaker('dependency', { failureThreshold: 5, recoveryTimeout: '1s' }, setting);
const slots = (setting) => bulkhead({ maxConcurrent: 3, maxQueue: 10 }, setting);
const stale = (setting) => fallback(() => 'fallback', undefined, setting);
const second = (setting) => hedge({ delay: 100 }, setting);
const oneSecond = (setting) => timeLimit(1000, setting);
const halfSecond = (setting) => timeLimit(500, setting);

/** 5% of the tries fail; from second 15 to second 35 all do. */
const outage = (chance, now) => ({ fails: isDown(now) || chance < 0.05, takes: 50 });
/** From second 15 to second 35 tries hang for half a minute and do not hear their signal. */
const deafOutage = (chance, now) => ({ takes: isDown(now) ? 30_000 : 50, deaf: true });
const isDown = (now) => now >= 15_000 && now < 35_000;
/** 10% of the tries fail, and 10% hang for half a minute. */
const hanging = (chance) => ({ fails: chance < 0.1, takes: chance >= 0.9 ? 30_000 : 50 });
/** 30% of the tries fail. */
const flaky = (chance) => ({ fails: chance < 0.3, takes: 100 });
/** 10% of the tries fail, and 5% take a second. */
const slowTail = (chance) => ({ fails: chance < 0.1, takes: chance >= 0.95 ? 1000 : 50 });

/** Each question: what the dependency does, and orders that answer it, outermost policy first. */
export const experiments = {
  'Retry and circuit breaker': {
    behaviour: outage,
    orders: {
      'no policy': [],
      retry: [tries],
      'retry > breaker': [tries, breaker],
      'breaker > retry': [breaker, tries],
    },
  },
  'Retry and time limit': {
    behaviour: hanging,
    orders: {
      retry: [tries],
      'retry > limit of 500 ms': [tries, halfSecond],
      'limit of 1 s > retry': [oneSecond, tries],
      'limit of 1 s > retry > limit of 500 ms': [oneSecond, tries, halfSecond],
    },
  },
  'Circuit breaker and time limit': {
    behaviour: deafOutage,
    orders: {
      'limit of 500 ms': [halfSecond],
      'breaker > limit of 500 ms': [breaker, halfSecond],
      'limit of 500 ms > breaker': [halfSecond, breaker],
    },
  },
  'Retry and bulkhead': {
    behaviour: flaky,
    orders: {
      retry: [tries],
      'retry > bulkhead': [tries, slots],
      'bulkhead > retry': [slots, tries],
    },
  },
  'Retry and fallback': {
    behaviour: flaky,
    orders: {
      retry: [tries],
      'fallback > retry': [stale, tries],
      'retry > fallback': [tries, stale],
    },
  },
  'Retry and hedge': {
    behaviour: slowTail,
    orders: {
      retry: [tries],
      hedge: [second],
      'retry > hedge': [tries, second],
      'hedge > retry': [second, tries],
    },
  },
};

const percent = (share) => `${(share * 100).toFixed(1)}%`;
const ms = (time) => `${Math.round(time)} ms`;

export const columns = [
  'outermost first',
  'tries',
  'failed',
  'at once',
  'answered',
  'fallback',
  'mean',
  'p99',
  'slowest',
];

/** One row for each order of an experiment, as order.md shows it. */
export async function rowsOf(experiment) {
  const { behaviour, orders } = experiments[experiment];
  const rows = [];
  for (const [order, makers] of Object.entries(orders)) {
    const { dependency, ...seen } = await simulate(behaviour, makers);
    rows.push([
      order,
      String(dependency.tries),
      String(dependency.failed),
      String(dependency.mostAtOnce),
      percent(seen.answered),
      percent(seen.fallbacks),
      ms(seen.mean),
      ms(seen.p99),
      ms(seen.slowest),
    ]);
  }
  return rows;
}

const line = (cells) => `| ${cells.join(' | ')} |`;

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  for (const experiment of Object.keys(experiments)) {
    console.log(`## ${experiment}\n`);
    console.log(line(columns));
    console.log(line(columns.map(() => '---')));
    for (const row of await rowsOf(experiment)) console.log(line(row));
    console.log('');
  }
}
