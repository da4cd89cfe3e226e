/**
 * The figures of docs/simulation.md: a fleet and a dependency that browns out, on a virtual clock.
 * Run it in a built checkout: `node docs/programs/fleet.mjs`.
 */
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  CircuitBreaker,
  RetryBudget,
  clientThrottle,
  isTransientError,
  pipeline,
  retry,
  timeLimit,
} from 'nestjs-bulwark/core';

const SECOND = 1000;
export const FLEET = {
  clients: 1000,
  /** Between two calls of one client: the fleet makes 500 calls a second. */
  callEvery: 2 * SECOND,
  /** Calls a second that the dependency can answer, in its good and in its bad time. */
  capacity: 750,
  brownedOut: 150,
  /** It answers in this time while it is not overloaded. */
  serviceTime: 50,
  /** Requests that wait in it; beyond that it answers 503. */
  mostQueued: 1000,
  timeLimit: 1 * SECOND,
  attempts: 4,
  budgetRatio: 0.2,
};
export const PHASES = [
  { name: 'before', until: 30 * SECOND },
  { name: 'brown-out', until: 90 * SECOND },
  { name: 'after', until: 150 * SECOND },
];

/** How each client protects its calls; every client has its own policies. */
export const STRATEGIES = {
  'no retries': () => [],
  'plain retries': (setting) => [retries(setting)],
  'with a budget': (setting) => [retries(setting, budget(setting))],
  'with a breaker': (setting) => [retries(setting), breaker(setting)],
  'with a throttle': (setting) => [retries(setting), throttle(setting)],
  'with all three': (setting) => [
    retries(setting, budget(setting)),
    throttle(setting),
    breaker(setting),
  ],
};

const retries = (setting, shared) =>
  retry({ maxAttempts: FLEET.attempts, retryOn: isTransientError, budget: shared }, setting);
// A floor would be one for each client: 1,000 times as much for the dependency.
const budget = (setting) => new RetryBudget({ ratio: FLEET.budgetRatio, minPerSecond: 0 }, setting);
const breaker = (setting) =>
  new CircuitBreaker('dependency', { recoveryTimeout: '5s', recoveryJitter: 0.5 }, setting);
const throttle = (setting) => clientThrottle({ window: '20s', minimumCalls: 5 }, setting);

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

/** Timers in whole milliseconds, a list for each: a heap would cost more than the calls. */
class VirtualClock {
  #now = 0;
  #lists = new Map();

  now() {
    return this.#now;
  }

  wallTime() {
    return this.#now;
  }

  setTimeout(callback, delay) {
    const at = this.#now + Math.max(1, Math.ceil(delay));
    const list = this.#lists.get(at);
    const timer = { callback };
    if (list === undefined) this.#lists.set(at, [timer]);
    else list.push(timer);
    return timer;
  }

  clearTimeout(timer) {
    timer.callback = undefined;
  }

  /** Runs every timer up to `end`, and between two instants all promises that they settle. */
  async runUntil(end) {
    while (this.#now < end) {
      this.#now++;
      const due = this.#lists.get(this.#now);
      if (due === undefined) continue;
      this.#lists.delete(this.#now);
      for (const timer of due) timer.callback?.();
      await new Promise((settled) => setImmediate(settled));
    }
  }
}

class HttpError extends Error {
  constructor(status) {
    super(`HTTP ${status}`);
    this.status = status;
  }
}

/**
 * Works on requests in the order in which they come, so many a second. It does not learn that a client has
 * gone, and answers it all the same: that is how overload feeds itself.
 */
class Dependency {
  requests = 0;
  #freeAt = 0;

  constructor(clock) {
    this.clock = clock;
    this.capacity = FLEET.capacity;
  }

  answer() {
    this.requests++;
    const now = this.clock.now();
    const perRequest = SECOND / this.capacity;
    const start = Math.max(now, this.#freeAt);
    if ((start - now) / perRequest >= FLEET.mostQueued) return Promise.reject(new HttpError(503));
    this.#freeAt = start + perRequest;
    const delay = this.#freeAt + FLEET.serviceTime - now;
    return new Promise((resolve) => this.clock.setTimeout(resolve, delay));
  }
}

/** Plays one strategy: load and success of each phase, and when the fleet was well again. */
export async function simulate(strategy, clients = FLEET.clients) {
  Error.stackTraceLimit = 0;
  const share = clients / FLEET.clients;
  const clock = new VirtualClock();
  const random = seeded(1);
  const quiet = { error: () => undefined, warn: () => undefined };
  const setting = { runtime: { clock, random, logger: quiet } };
  const dependency = new Dependency(clock);
  const figures = PHASES.map(({ name }) => ({ name, calls: 0, answered: 0, requests: 0 }));
  const failedAt = [];
  let phase = 0;

  const attemptLimit = timeLimit(FLEET.timeLimit, setting);
  const work = () => dependency.answer();
  const begin = (policy) => {
    const figure = figures[phase];
    const second = Math.floor(clock.now() / SECOND);
    figure.calls++;
    policy.execute(work).then(
      () => figure.answered++,
      () => (failedAt[second] = (failedAt[second] ?? 0) + 1),
    );
    clock.setTimeout(() => begin(policy), FLEET.callEvery);
  };
  for (let client = 0; client < clients; client++) {
    const policy = pipeline(...STRATEGIES[strategy](setting), attemptLimit);
    clock.setTimeout(() => begin(policy), 1 + random() * FLEET.callEvery);
  }

  for (; phase < PHASES.length; phase++) {
    const { name, until } = PHASES[phase];
    const capacity = name === 'brown-out' ? FLEET.brownedOut : FLEET.capacity;
    dependency.capacity = capacity * share;
    const before = dependency.requests;
    await clock.runUntil(until);
    figures[phase].requests = dependency.requests - before;
  }
  const wellAgain =
    failedAt.findLastIndex((failed = 0) => failed > 0.05 * clients * (SECOND / FLEET.callEvery)) +
    1;
  const recovery = wellAgain - PHASES[1].until / SECOND;
  return {
    // Its last calls have not ended by then.
    recovery: wellAgain >= PHASES[2].until / SECOND - FLEET.attempts ? Infinity : recovery,
    ...Object.fromEntries(
      figures.map(({ name, calls, answered, requests }) => [
        name,
        { load: requests / calls, success: answered / calls },
      ]),
    ),
  };
}

/** The table of the page. */
export function tableOf(results) {
  const head = ['clients', ...PHASES.map(({ name }) => name), 'well again'];
  const cell = ({ load, success }) => `${load.toFixed(2)} x, ${(success * 100).toFixed(1)}%`;
  const rows = Object.entries(results).map(([strategy, figures]) => [
    strategy,
    ...PHASES.map(({ name }) => cell(figures[name])),
    figures.recovery === Infinity ? 'not in 60 s' : `after ${figures.recovery} s`,
  ]);
  const widths = head.map((_, at) => Math.max(...[head, ...rows].map((row) => row[at].length)));
  const line = (row) => `| ${row.map((each, at) => each.padEnd(widths[at])).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

export async function everyStrategy() {
  const results = {};
  for (const strategy of Object.keys(STRATEGIES)) results[strategy] = await simulate(strategy);
  return results;
}

if (process.argv[1] !== undefined && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  console.log(tableOf(await everyStrategy()));
}
