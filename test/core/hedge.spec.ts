import { AsyncLocalStorage } from 'node:async_hooks';
import { getEventListeners } from 'node:events';
import { jest } from '@jest/globals';
import {
  AbortError,
  type CallContext,
  EventHub,
  type HedgeOptions,
  type HedgePolicy,
  Lifetime,
  RetryBudget,
  TimeoutError,
  currentAttempt,
  currentSignal,
  hedge,
  pipeline,
  retry,
  timeLimit,
} from 'nestjs-bulwark/core';
import { PLAIN } from '../../lib/core/call-context.js';
import { hedgeDelay } from '../../lib/core/hedge/hedge-delay.js';
import { rankOf } from '../../lib/core/hedge/options.js';
import { settlePromises } from 'nestjs-bulwark/testing';
import { type Outcome, Lab, down, settled, thrownBy } from '../support/lab.js';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});

const hedged = (options: HedgeOptions): HedgePolicy => hedge(options, { runtime: lab.runtime });
const after = <T>(time: number, end: () => T): Promise<T> =>
  new Promise<void>((resolve) => lab.clock.setTimeout(() => resolve(), time)).then(end);
const never = (): Promise<never> => new Promise(() => undefined);
const hang = (): Promise<never> => new Promise(() => undefined);
const failing = (error: unknown) => (): never => {
  throw error;
};

/**
 * Tries that follow a script, such as `'100s 10f'`: each takes that many ms and then succeeds with
 * its number or fails with `try n`. Heeds no signal; keeps when each began and its context.
 */
class Tries {
  readonly begun: number[] = [];
  readonly calls: CallContext[] = [];
  readonly #steps: string[];

  constructor(script: string) {
    this.#steps = script.split(' ');
  }

  readonly work = (call: CallContext): Promise<string> => {
    const step = this.#steps[this.calls.length] ?? '0f';
    this.begun.push(lab.clock.now());
    this.calls.push(call);
    const name = `try ${String(this.calls.length)}`;
    const time = parseInt(step, 10);
    return after(time, step.endsWith('s') ? () => name : failing(new Error(name)));
  };
}

describe('R64 a hedge', () => {
  it('sets a timer only while another try may start', async () => {
    void settled(hedged({ delay: 20 }).execute(hang));
    expect(lab.clock.pendingTimers).toBe(1);
    await lab.clock.advance(20);
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('sets none in a call that is aborted already', async () => {
    const controller = new AbortController();
    const outer = retry({}, { runtime: lab.runtime }).execute(
      () => {
        controller.abort(new Error('left'));
        return hedged({ delay: 20 }).execute(hang);
      },
      { signal: controller.signal },
    );
    expect(await settled(outer)).toEqual({ error: new Error('left') });
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('also follows the first call of a function that does not show that it gives a promise', async () => {
    const { begun, work } = new Tries('100s 10s');
    const guarded = hedged({ delay: 20 }).wrap((): unknown => work(PLAIN));
    expect(await lab.resultOf(guarded() as Promise<string>)).toBe('try 2');
    expect(begun).toEqual([0, 20]);
  });

  it.each([
    ['answers in time', '9s', 1, 'try 1', [0], 9],
    ['answers late, but before the hedge', '20s 20s', 1, 'try 1', [0, 10], 20],
    ['hangs, and the hedge answers', '999s 5s', 1, 'try 2', [0, 10], 15],
    ['hangs, as the hedge does', '999s 998s 5s', 2, 'try 3', [0, 10, 20], 25],
    ['fails at once, and the hedge answers', '0f 5s', 1, 'try 2', [0, 0], 5],
    ['fails before the delay', '4f 5s', 1, 'try 2', [0, 4], 9],
    ['fails while the hedge runs', '12f 8s', 1, 'try 2', [0, 10], 18],
    ['fails while the hedge runs, which fails too', '12f 8f 1s', 2, 'try 3', [0, 10, 18], 19],
    ['fails, and the next waits its turn', '2f 999s 5s', 2, 'try 3', [0, 2, 12], 17],
    ['fails, as all do', '1f 2f 3f', 2, new Error('try 3'), [0, 1, 3], 6],
    ['fails last of all', '30f 5f', 1, new Error('try 1'), [0, 10], 30],
  ])('whose first try %s (%s)', async (_how, script, maxHedges, answer, begun, at) => {
    const tries = new Tries(script);
    const policy = hedged({ delay: 10, maxHedges });
    let ended = 0;
    const running = settled(policy.execute(tries.work)).then((outcome) => {
      ended = lab.clock.now();
      return outcome;
    });
    const outcome = await lab.resultOf(running);
    expect(outcome).toEqual(answer instanceof Error ? { error: answer } : { value: answer });
    expect([tries.begun, ended]).toEqual([begun, at]);
    expect(policy.snapshot().attempts).toBe(begun.length);
  });

  it('treats a synchronous throw and a synchronous value as it does a promise', async () => {
    const work = jest.fn<() => string>(() => 'plain').mockImplementationOnce(failing(down));
    expect(await lab.resultOf(hedged({ delay: 10 }).execute(work))).toBe('plain');
    expect(work).toHaveBeenCalledTimes(2);
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('aborts the losers, each through its own signal, and never the winner', async () => {
    const tries = new Tries('999s 5s 999s');
    await lab.outcomeOf(hedged({ delay: 2, maxHedges: 2 }).execute(tries.work));
    const signals = tries.calls.map(({ signal }) => signal);
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false, true]);
    expect(signals[0]?.reason).toEqual(new AbortError('Another try has answered first'));
    expect(new Set(signals).size).toBe(3);
  });

  it('swallows what losers bring', async () => {
    const policy = hedged({ delay: 2, maxHedges: 2 });
    expect(await lab.resultOf(policy.execute(new Tries('50f 1s 60s').work))).toBe('try 2');
    await lab.clock.runAll();
    expect(policy.snapshot().calls).toEqual({ original: 0, hedge: 1, none: 0 });
  });

  it('gives each try its context: the attempt of the retry around, a signal of its own', async () => {
    const seen: [unknown, unknown][] = [];
    let call = 0;
    const work = async (): Promise<string> => {
      seen.push([currentAttempt(), currentSignal()]);
      if (++call < 4) throw down;
      return 'fine';
    };
    const policies = pipeline(retry({}, { runtime: lab.runtime }), hedged({ delay: 10 }));
    expect(await lab.resultOf(policies.execute(work))).toBe('fine');
    expect(seen.map(([attempt]) => attempt)).toEqual([1, 1, 2, 2]);
    expect(new Set(seen.map(([, signal]) => signal)).size).toBe(4);
  });

  it('starts tries in the async context of the caller', async () => {
    const requests = new AsyncLocalStorage<string>();
    const seen: unknown[] = [];
    const work = (): Promise<unknown> => {
      seen.push(requests.getStore());
      return after(15, () => 'done');
    };
    const running = requests.run('mine', () => hedged({ delay: 10 }).execute(work));
    await lab.outcomeOf(running);
    expect(seen).toEqual(['mine', 'mine']);
  });

  it('aborts every try when the caller aborts, and starts no more', async () => {
    const caller = new AbortController();
    const tries = new Tries('50f 50f 1s');
    const budget = new RetryBudget({ ratio: 0, minPerSecond: 1 }, { runtime: lab.runtime });
    const policy = hedged({ delay: 10, maxHedges: 2, budget });
    const running = settled(policy.execute(tries.work, { signal: caller.signal }));
    await lab.clock.advance(15);
    const signals = tries.calls.map(({ signal }) => signal);
    caller.abort(down);
    expect(await running).toEqual({ error: down });
    expect(signals.map(({ reason }) => reason as unknown)).toEqual([down, down]);
    await lab.clock.runAll();
    expect(tries.begun).toEqual([0, 10]);
    expect(budget.balance).toBe(9);
    expect(policy.snapshot().calls).toEqual({ original: 0, hedge: 0, none: 1 });
    expect(getEventListeners(caller.signal, 'abort')).toEqual([]);
  });

  it('starts no other try when the work says that it was given up', async () => {
    const abort = new AbortError('given up');
    const work = jest.fn(failing(abort));
    expect(await lab.errorOf(hedged({ delay: 10 }).execute(work))).toBe(abort);
    expect(work).toHaveBeenCalledTimes(1);
  });

  it.each([
    ['that was given up aborts what it has started', new AbortError('given up'), true],
    ['that has failed lets go of its signal', down, false],
  ])('a try %s', async (_what, error, aborted) => {
    let signal: AbortSignal | undefined;
    const work = (call: { signal: AbortSignal }): Promise<never> => {
      signal = call.signal;
      return Promise.reject(error);
    };
    expect(await lab.errorOf(hedged({ delay: 10 }).execute(work))).toBe(error);
    expect(signal?.aborted).toBe(aborted);
    expect(signal?.reason).toBe(aborted ? error : undefined);
  });

  it.each([
    ['by time', '999s 1s'],
    ['for a failure', '20f 1s'],
  ])('never starts a try past the deadline, %s', async (_why, script) => {
    const tries = new Tries(script);
    const policies = pipeline(timeLimit(10, { runtime: lab.runtime }), hedged({ delay: 10 }));
    expect(await lab.errorOf(policies.execute(tries.work))).toEqual(new TimeoutError(10));
    await lab.clock.runAll();
    expect(tries.begun).toEqual([0]);
  });

  it('of an iteration starts no other try once the first item has been handed out', async () => {
    let tries = 0;
    const numbers = hedged({ delay: 10 }).wrap(async function* () {
      tries++;
      yield 1;
      await after(50, () => 0);
      throw down;
    });
    const seen: number[] = [];
    const reading = settled(
      (async () => {
        for await (const each of numbers()) seen.push(each);
      })(),
    );
    expect(await lab.resultOf(reading)).toEqual({ error: down });
    expect([tries, seen]).toEqual([1, [1]]);
  });

  it('of an iteration reads from one try only', async () => {
    let tries = 0;
    const numbers = hedged({ delay: 10 }).wrap(async function* () {
      const mine = ++tries;
      await after(15, () => 0);
      yield [mine, 1];
      await after(15, () => 0);
      yield [mine, 2];
    });
    const seen: number[][] = [];
    const reading = (async (): Promise<void> => {
      for await (const each of numbers()) seen.push(each);
    })();
    await lab.outcomeOf(reading);
    expect([tries, seen]).toEqual([
      2,
      [
        [1, 1],
        [1, 2],
      ],
    ]);
  });
});

describe('the budget of a hedge', () => {
  const empty = (): RetryBudget =>
    new RetryBudget({ ratio: 0, minPerSecond: 0 }, { runtime: lab.runtime });
  it.each([
    ['by time', '30s 1s', { value: 'try 1' }],
    ['for a failure', '5f 1s', { error: new Error('try 1') }],
  ])('R74 starts no hedge %s when it is empty', async (_why, script, outcome) => {
    const tries = new Tries(script);
    const policy = hedged({ delay: 10, budget: empty() });
    expect(await lab.outcomeOf(policy.execute(tries.work))).toEqual(outcome);
    expect(tries.begun).toEqual([0]);
  });

  it('R74 gets a share of every call', async () => {
    const budget = new RetryBudget({ ratio: 0.5, minPerSecond: 0 }, { runtime: lab.runtime });
    const policy = hedged({ delay: 10, budget });
    const running: Promise<Outcome<unknown>>[] = [];
    for (let call = 0; call < 20; call++) running.push(settled(policy.execute(failing(down))));
    await Promise.all(running);
    expect(policy.snapshot().attempts).toBe(30);
  });
});

describe('a hedge by quantile', () => {
  const runEach = async (policy: HedgePolicy, ...times: number[]): Promise<void> => {
    for (const time of times) await lab.outcomeOf(policy.execute(() => after(time, () => 'done')));
  };
  const times = (count: number): number[] => Array.from({ length: count }, (_, at) => at + 1);

  it('measures from when a try began', async () => {
    lab.clock.jump(1_000_000);
    const policy = hedged({ delay: 'p50' });
    await runEach(policy, ...times(20).map(() => 10));
    expect(policy.snapshot().delay).toBeGreaterThan(8);
    expect(policy.snapshot().delay).toBeLessThan(12);
  });

  it('may be given to fractions of a per cent', () => {
    expect(rankOf('p99.95')).toBeCloseTo(0.9995, 12);
    const { issues } = thrownBy(() => hedge({ delay: 'q95' })) as { issues: string[] };
    expect(issues).toEqual([
      'hedge(hedge).delay must be a duration (milliseconds or a string such as "30s"), not negative ' +
        'and at most 2147483647 ms, or be a quantile such as "p95", got "q95"',
    ]);
  });

  it.each<[string, HedgeOptions]>([
    ['while it knows no latency', { delay: 'p95' }],
    ['once all its tries are under way', { delay: 0, maxHedges: 1 }],
  ])('sets no timer %s', async (_when, options) => {
    const running = settled(hedged(options).execute(new Tries('50s 50s').work));
    await lab.clock.advance(10);
    expect(lab.clock.pendingTimers).toBe(options.delay === 0 ? 2 : 1); // of the tries themselves
    await lab.clock.runAll();
    expect(await running).toEqual({ value: 'try 1' });
  });

  it('starts none past a deadline that has not been told yet', async () => {
    const tries = new Tries('999s 1s');
    const policies = pipeline(timeLimit(10, { runtime: lab.runtime }), hedged({ delay: 5 }));
    const running = settled(policies.execute(tries.work));
    lab.clock.jump(20); // the timers are late
    await lab.clock.runAll();
    expect(await running).toEqual({ error: new TimeoutError(10) });
    expect(tries.begun).toEqual([0]);
  });

  it('starts none by time until it knows 20 latencies', async () => {
    const policy = hedged({ delay: 'p95' });
    await runEach(policy, ...times(19), 10_000);
    expect(policy.snapshot()).toMatchObject({ attempts: 20, calls: { original: 20 } });
    await runEach(policy, 10_000);
    expect(policy.snapshot().attempts).toBe(22);
  });

  it('still starts one at once for a failure', async () => {
    const tries = new Tries('1f 1s');
    expect(await lab.resultOf(hedged({ delay: 'p95' }).execute(tries.work))).toBe('try 2');
  });

  it.each([
    ['p50', 50],
    ['p90', 90],
    ['p99', 99],
    ['p99.9', 100],
  ])('waits for the %s of 1..100 ms, known to an eighth', async (delay, expected) => {
    const policy = hedged({ delay, maxHedges: 1 });
    const calls = times(100).map((time) => policy.execute(() => after(time, () => 'done')));
    await lab.clock.runAll();
    await Promise.all(calls);
    const known = policy.snapshot().delay ?? 0;
    expect(known).toBeGreaterThanOrEqual(expected * 0.875);
    expect(known).toBeLessThanOrEqual(expected * 1.125);
  });

  it('looks at what it has seen after 20 latencies, and after each 16 more', () => {
    const delay = hedgeDelay('p99');
    const observe = (count: number, elapsed: number): number | undefined => {
      for (let each = 0; each < count; each++) delay.observe?.(elapsed);
      return delay.current;
    };
    expect(observe(19, 1)).toBeUndefined();
    expect(observe(1, 1)).toBeCloseTo(1, 1);
    expect(observe(15, 1000)).toBeCloseTo(1, 1);
    expect(observe(1, 1000)).toBeGreaterThan(900);
  });

  it('lets latencies weigh half after a thousand', () => {
    const delay = hedgeDelay('p50');
    for (let each = 0; each < 1012; each++) delay.observe?.(1);
    for (let each = 0; each < 512; each++) delay.observe?.(100);
    expect(delay.current).toBeGreaterThan(90);
  });

  it('forgets what was long ago', async () => {
    const policy = hedged({ delay: 'p90' });
    await runEach(policy, ...Array<number>(200).fill(1000));
    await runEach(policy, ...Array<number>(6000).fill(10));
    expect(policy.snapshot().delay).toBeLessThan(20);
  });

  it('does not come ever earlier because slow tries lose', async () => {
    const policy = hedged({ delay: 'p50' });
    await runEach(policy, ...Array<number>(30).fill(100));
    const before = policy.snapshot().delay ?? 0;
    for (let call = 0; call < 200; call++) {
      await lab.outcomeOf(policy.execute(new Tries('999s 1s').work));
    }
    expect(policy.snapshot().delay).toBeGreaterThan(before * 0.5);
  });
});

describe('a hedge as a policy', () => {
  it('R33 leaves no timer at shutdown; the tries run on', async () => {
    const lifetime = new Lifetime();
    const policy = hedge({ delay: 100 }, { runtime: { ...lab.runtime, lifetime } });
    const tries = new Tries('200s 1s');
    const running = policy.execute(tries.work);
    lifetime.end();
    expect(lab.clock.pendingTimers).toBe(1);
    expect(await lab.resultOf(running)).toBe('try 1');
    void policy.execute(() => new Promise(() => undefined));
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('takes its timer away when the answer is there', async () => {
    await hedged({ delay: 100 }).execute(() => 'done');
    await settlePromises();
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('keeps `this` and the arguments for each try', async () => {
    let tries = 0;
    const service = {
      base: 40,
      add: hedged({ delay: 10 }).wrap(async function (this: { base: number }, more: number) {
        if (++tries === 1) throw down;
        return this.base + more;
      }),
    };
    expect(await lab.resultOf(service.add(2))).toBe(42);
  });

  it('R81 has an id, a description and a snapshot', () => {
    const policy = hedge({ delay: '50ms' }, { name: 'search' });
    const options = { delay: 50, maxHedges: 1, budget: undefined };
    expect(policy.id).toBe('hedge:search');
    expect(policy.describe()).toEqual([{ kind: 'hedge', name: 'search', options }]);
    expect(policy.snapshot()).toEqual({
      id: 'hedge:search',
      kind: 'hedge',
      name: 'search',
      options,
      calls: { original: 0, hedge: 0, none: 0 },
      attempts: 0,
      delay: 50,
    });
    expect(hedge({ delay: 'p95' }).snapshot()).not.toHaveProperty('delay');
  });

  it.each([
    [undefined, ['delay']],
    [{ delay: -1 }, ['delay']],
    [{ delay: 'p0' }, ['delay']],
    [{ delay: 'up95' }, ['delay']],
    [{ delay: new String('p95') }, ['delay']],
    [{ delay: 'p100' }, ['delay']],
    [{ delay: 'q95', maxHedges: 0, budget: 5 }, ['delay', 'maxHedges', 'budget']],
    [{ delay: 1, maxHedge: 5 }, ['maxHedge is not a known option; did you mean "maxHedges"?']],
    [{ delay: 1, budget: 'shared' }, ['budget "shared" is a name']],
  ])('refuses %j', (options, problems) => {
    expect(thrownBy(() => hedge(options as never))).toMatchObject({
      code: 'INVALID_CONFIG',
      issues: problems.map((each) => expect.stringContaining(`hedge(hedge).${each}`) as unknown),
    });
  });
});

describe('a hedge that nobody waits for any more', () => {
  it('leaves no timer when the caller has aborted', async () => {
    const { clock, runtime } = lab;
    const caller = new AbortController();
    const outcome = settled(
      hedge({ delay: '1h' }, { runtime }).execute(never, { signal: caller.signal }),
    );
    await clock.advance(0);
    caller.abort();
    await outcome;
    expect(clock.pendingTimers).toBe(0);
  });

  it.each([
    ['by time', never, 1],
    ['for a failure', failing(down), 1],
  ])('starts no try %s that a listener has seen off', async (_why, work, attempts) => {
    const { clock, runtime, logger } = lab;
    const events = new EventHub(() => clock.wallTime(), logger);
    const policy = hedge({ delay: 10, maxHedges: 3 }, { runtime: { ...runtime, events } });
    const caller = new AbortController();
    const left = new Error('left');
    events.listen(({ type }) => {
      if (type === 'hedge.started') caller.abort(left);
    });
    const outcome = settled(policy.execute(work, { signal: caller.signal }));
    await clock.advance(100);
    expect(await outcome).toEqual({ error: left });
    expect(policy.snapshot()).toMatchObject({ attempts, calls: { hedge: 0, original: 0 } });
    expect(clock.pendingTimers).toBe(0);
  });

  it('leaves no timer when a time limit around it has answered', async () => {
    const { clock, runtime } = lab;
    const policy = pipeline(timeLimit(100, { runtime }), hedge({ delay: '1h' }, { runtime }));
    const outcome = settled(policy.execute(never));
    await clock.advance(200);
    await outcome;
    expect(clock.pendingTimers).toBe(0);
  });
});
