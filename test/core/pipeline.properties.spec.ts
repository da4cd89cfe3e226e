import { getEventListeners } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import fc from 'fast-check';
import {
  AdaptiveLimitPolicy,
  BulkheadPolicy,
  CircuitBreaker,
  ClientThrottlePolicy,
  HedgePolicy,
  KeyedCircuitBreakers,
  Policy,
  type PolicySnapshot,
  RateLimitPolicy,
  RetryPolicy,
  TimeLimitPolicy,
  adaptiveLimit,
  bulkhead,
  clientThrottle,
  currentSignal,
  fallback,
  hedge,
  pipeline,
  rateLimit,
  retry,
  timeLimit,
} from 'nestjs-bulwark/core';
import type { Layer } from '../../lib/core/policy.js';
import { Lab, down } from '../support/lab.js';

type Make = (lab: Lab) => Policy;
/** A policy that shows what it is made of when a property fails. */
const made = <T>(
  name: string,
  options: fc.Arbitrary<T>,
  make: (options: T, setting: { runtime: Lab['runtime'] }) => Policy,
): fc.Arbitrary<Make> =>
  options.map((given) =>
    Object.assign((lab: Lab) => make(given, { runtime: lab.runtime }), {
      [fc.toStringMethod]: () => `${name}(${JSON.stringify(given)})`,
    }),
  );

const time = fc.integer({ min: 1, max: 60 });
const few = fc.integer({ min: 1, max: 3 });
const policies: fc.Arbitrary<Make> = fc.oneof(
  made('retry', fc.record({ maxAttempts: few, baseDelay: time }), retry),
  made(
    'breaker',
    fc.record({ failureThreshold: few, recoveryTimeout: time }),
    (options, setting) => new CircuitBreaker('b', options, setting),
  ),
  made('timeLimit', time, timeLimit),
  made(
    'bulkhead',
    fc.record(
      { maxConcurrent: few, maxQueue: fc.integer({ min: 0, max: 3 }), queueTimeout: time },
      { requiredKeys: ['maxConcurrent'] },
    ),
    bulkhead,
  ),
  made(
    'rateLimit',
    fc.record(
      { limit: few, interval: time, burst: few, maxWait: time },
      { requiredKeys: ['limit', 'interval'] },
    ),
    rateLimit,
  ),
  made('fallback', fc.boolean(), (fails, setting) =>
    fallback(
      () => {
        if (fails) throw new Error('no spare');
        return 'spare';
      },
      {},
      setting,
    ),
  ),
  made('hedge', fc.record({ delay: time, maxHedges: few }), hedge),
  made(
    'keyed breakers',
    fc.record({ failureThreshold: few, recoveryTimeout: time, maxKeys: few }),
    (options, setting) => new KeyedCircuitBreakers('k', options, setting),
  ),
  made(
    'adaptiveLimit',
    fc.record({ maxLimit: few, window: time, minimumCalls: few, probeInterval: time }),
    adaptiveLimit,
  ),
  made(
    'clientThrottle',
    fc.record({ window: fc.constantFrom(100, 1000), minimumCalls: few }),
    (options, setting) => clientThrottle({ ...options, rejectedBy: Error }, setting),
  ),
  made(
    'breaker in shadow mode',
    fc.record({
      failureThreshold: few,
      recoveryTimeout: time,
      rampUp: fc.record({ duration: time }),
    }),
    (options, setting) => new CircuitBreaker('s', { ...options, mode: 'shadow' }, setting),
  ),
  made('timeLimit in shadow mode', time, (limit, setting) =>
    timeLimit({ limit, mode: 'shadow' }, setting),
  ),
  made(
    'bulkhead in shadow mode',
    fc.record({ maxConcurrent: few, maxQueue: fc.integer({ min: 0, max: 3 }) }),
    (options, setting) => bulkhead({ ...options, mode: 'shadow' }, setting),
  ),
  made(
    'rateLimit in shadow mode',
    fc.record({ limit: few, interval: time, maxWait: fc.constantFrom(0, 20) }),
    (options, setting) => rateLimit({ ...options, mode: 'shadow' }, setting),
  ),
);

/** One attempt of the work: how long it takes, how it ends, and whether it heeds its signal. */
interface Attempt {
  time: number;
  ending: 'value' | 'error' | 'throw' | 'plain';
  heeds: boolean;
}
const attempts: fc.Arbitrary<Attempt> = fc.record({
  time: fc.integer({ min: 0, max: 120 }),
  ending: fc.constantFrom('value', 'error', 'throw', 'plain'),
  heeds: fc.boolean(),
});
const callers = fc.record({
  startsAt: fc.integer({ min: 0, max: 100 }),
  abortsAfter: fc.option(fc.integer({ min: 0, max: 100 })),
  script: fc.array(attempts, { minLength: 1, maxLength: 4, size: 'max' }),
});

/** Work that follows a script, an attempt at a time (the last one for all later). */
function scripted(
  lab: Lab,
  script: readonly Attempt[],
): (call: { signal: AbortSignal }) => unknown {
  let made = 0;
  return ({ signal }) => {
    const attempt = script[Math.min(made++, script.length - 1)] as Attempt;
    if (attempt.ending === 'throw') throw down;
    if (attempt.ending === 'plain') return 'plain';
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason as Error);
      if (attempt.heeds) signal.addEventListener('abort', onAbort);
      lab.clock.setTimeout(() => {
        signal.removeEventListener('abort', onAbort);
        if (attempt.ending === 'value') resolve('value');
        else reject(down);
      }, attempt.time);
    });
  };
}

/** What a policy has in hand; all of it must be given back. */
function inHand(policy: Policy): number {
  const {
    inUse = 0,
    queued = 0,
    spared = 0,
    abandoned = 0,
  } = policy.snapshot() as PolicySnapshot & {
    inUse?: number;
    queued?: number;
    spared?: number;
    abandoned?: number;
  };
  const inFlight = policy instanceof CircuitBreaker ? policy.stats.inFlight : 0;
  return inUse + queued + spared + abandoned + inFlight;
}

/** How many calls a policy has counted in, and how many it has let through, by its own account. */
function counted(policy: Policy): { in?: number; through?: number } {
  if (policy instanceof BulkheadPolicy) {
    const { calls, shadowRejections } = policy.snapshot();
    return { in: sum(calls) + shadowRejections, through: calls.accepted + shadowRejections };
  }
  if (policy instanceof RateLimitPolicy) {
    const { calls, shadowRejections } = policy.snapshot();
    return { through: calls.permitted + calls.waited + shadowRejections };
  }
  if (policy instanceof TimeLimitPolicy) return { in: sum(policy.snapshot().calls) };
  if (policy instanceof HedgePolicy || policy instanceof RetryPolicy) {
    const { calls, attempts } = policy.snapshot();
    return { in: sum(calls), through: attempts };
  }
  if (policy instanceof AdaptiveLimitPolicy) {
    const { accepted, rejected } = policy.snapshot().calls;
    return { in: accepted + rejected, through: accepted };
  }
  if (policy instanceof ClientThrottlePolicy) {
    const { throttled, ...through } = policy.snapshot().calls;
    return { in: throttled + sum(through), through: sum(through) };
  }
  if (policy instanceof CircuitBreaker) {
    const { totalCalls, rejectedCalls } = policy.stats;
    return { in: totalCalls, through: totalCalls - rejectedCalls };
  }
  return {};
}

const sum = (calls: Readonly<Record<string, number>>): number =>
  Object.values(calls).reduce((total, each) => total + each, 0);

/** Stands between two policies: counts what comes by, and leaves its mark in the call's trace. */
class Probe extends Policy {
  readonly kind = 'probe';
  readonly options = {};
  entered = 0;

  constructor(readonly name: string) {
    super();
  }

  stages(): [Layer] {
    const link: Layer['link'] = (next) => (work, self, args, call) => {
      this.entered++;
      (args?.[0] as string[]).push(this.name);
      return next(work, self, args, call);
    };
    return [{ link }];
  }

  snapshot(): PolicySnapshot {
    const { id, kind, name, options } = this;
    return { id, kind, name, options };
  }
}

/** Nested hedges that are all turned away take thousands of turns, more than a step of the clock waits for. */
async function runOut({ clock }: Lab): Promise<void> {
  do {
    await clock.runAll();
    await setImmediate();
  } while (clock.pendingTimers > 0);
}

const parts = fc.array(policies, { minLength: 1, maxLength: 6, size: 'max' });
const calls = fc.array(callers, { minLength: 1, maxLength: 8, size: 'max' });

describe('any pipeline', () => {
  it('settles every call once and gives everything back: permits, listeners, timers', async () => {
    await fc.assert(
      fc.asyncProperty(parts, calls, async (makes, plans) => {
        const lab = new Lab();
        const built = makes.map((make) => make(lab));
        const whole = pipeline(...built);
        const bulkheads = built
          .filter((each) => each instanceof BulkheadPolicy)
          .filter(({ options }) => options.mode === 'enforce');
        const overfull = (): boolean =>
          bulkheads.some((each) => each.snapshot().inUse > each.options.maxConcurrent);
        let violations = 0;
        const settlements = plans.map(() => 0);
        const signals = plans.map(({ startsAt, abortsAfter, script }, at) => {
          const caller = new AbortController();
          const work = scripted(lab, script);
          const observed = (call: { signal: AbortSignal }): unknown => {
            if (overfull()) violations++;
            return work(call);
          };
          const count = (): void => void (settlements[at] = (settlements[at] ?? 0) + 1);
          lab.clock.setTimeout(() => {
            whole.execute(observed, { signal: caller.signal }).then(count, count);
          }, startsAt);
          if (abortsAfter !== null) {
            lab.clock.setTimeout(() => caller.abort(new Error('bye')), startsAt + abortsAfter);
          }
          return caller.signal;
        });
        await runOut(lab);
        expect(settlements).toEqual(plans.map(() => 1));
        expect(built.map(inHand)).toEqual(built.map(() => 0));
        expect(signals.flatMap((signal) => getEventListeners(signal, 'abort'))).toEqual([]);
        expect(lab.clock.pendingTimers).toBe(0);
        expect(violations).toBe(0);
        expect(lab.logger.errors).toEqual([]);
      }),
      { numRuns: 200 },
    );
  });

  it('passes its policies in the declared order, and each counts what came by', async () => {
    await fc.assert(
      fc.asyncProperty(parts, calls, async (makes, plans) => {
        const lab = new Lab();
        const built = makes.map((make) => make(lab));
        const probes = [...built, undefined].map((_, at) => new Probe(String(at)));
        const whole = pipeline(
          ...built.flatMap((policy, at) => [probes[at] as Probe, policy]),
          probes.at(-1) as Probe,
        );
        const traces = plans.map(({ startsAt, script }) => {
          const trace: string[] = [];
          const work = scripted(lab, script);
          const run = whole.wrap(async (mine: string[]) => {
            mine.push('work');
            return work({ signal: currentSignal() ?? new AbortController().signal });
          });
          lab.clock.setTimeout(() => void run(trace).catch(() => undefined), startsAt);
          return trace;
        });
        await runOut(lab);
        for (const trace of traces) {
          const passed = [...new Set(trace)];
          const declared = [...probes.map(({ name }) => name), 'work'];
          expect(passed).toEqual(declared.slice(0, passed.length));
        }
        built.forEach((policy, at) => {
          const entered = { in: probes[at]?.entered, through: probes[at + 1]?.entered };
          expect(entered).toMatchObject(counted(policy));
        });
        expect(lab.clock.pendingTimers).toBe(0);
      }),
      { numRuns: 200 },
    );
  });
});
