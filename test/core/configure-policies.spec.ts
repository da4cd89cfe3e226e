import {
  type BulkheadOptions,
  type BulkheadPolicy,
  CircuitBreaker,
  type Clock,
  KeyedCircuitBreakers,
  type Policy,
  type RateLimitOptions,
  type RateLimitPolicy,
  ResilienceConfigError,
  RetryBudget,
  RetryConfig,
  type RetryOptions,
  type RetryPolicy,
  SyncRetryPolicy,
  TimeoutError,
  type Timer,
  bulkhead,
  pipeline,
  rateLimit,
  retry,
  timeLimit,
} from 'nestjs-bulwark/core';
import { settlePromises } from 'nestjs-bulwark/testing';
import { type Deferred, Lab, deferred, down, settled, thrownBy } from '../support/lab.js';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});

const bulkheadOf = (options: BulkheadOptions): BulkheadPolicy =>
  bulkhead(options, { name: 'reports', runtime: lab.runtime });
const rateOf = (options: RateLimitOptions): RateLimitPolicy =>
  rateLimit(options, { name: 'partner', runtime: lab.runtime });
const retryOf = (options: RetryOptions): RetryPolicy =>
  retry({ jitter: 0, ...options }, { name: 'api', runtime: lab.runtime });
const breakerOf = (): CircuitBreaker => new CircuitBreaker('db', {}, lab);
const keyedOf = (): KeyedCircuitBreakers => new KeyedCircuitBreakers('db', {}, lab);
const limitOf = (limit: number) => timeLimit(limit, { name: 'page', runtime: lab.runtime });
const after = <T>(time: number, value: T): Promise<T> =>
  new Promise((resolve) => lab.clock.setTimeout(() => resolve(value), time));

/** Calls in the order in which they came: which have begun, and what became of them. */
class Calls {
  readonly begun: number[] = [];
  readonly outcomes: string[] = [];
  readonly #works: Deferred[] = [];

  constructor(private readonly policy: Policy) {}

  async start(count: number, signal?: AbortSignal): Promise<this> {
    for (let call = 0; call < count; call++) {
      const at = this.#works.length;
      const work = deferred();
      this.#works.push(work);
      const running = this.policy.execute(
        () => {
          this.begun.push(at);
          return work.promise;
        },
        { signal },
      );
      void settled(running).then((outcome) => {
        this.outcomes[at] = 'value' in outcome ? 'done' : (outcome.error as { code: string }).code;
      });
    }
    await settlePromises();
    return this;
  }

  async end(...calls: number[]): Promise<void> {
    for (const at of calls) this.#works[at]?.resolve('done');
    await settlePromises();
  }
}

describe('R75 a bulkhead with more slots', () => {
  it.each([
    // from, to, begun at once
    [1, 2, [0, 1]],
    [1, 3, [0, 1, 2]],
    [2, 10, [0, 1, 2, 3, 4]],
  ])('from %i to %i: starts those that wait, first in, first out', async (from, to, begun) => {
    const policy = bulkheadOf({ maxConcurrent: from, maxQueue: 10 });
    const calls = await new Calls(policy).start(5);
    policy.configure({ maxConcurrent: to });
    await settlePromises();
    expect(calls.begun).toEqual(begun);
    expect(policy.snapshot()).toMatchObject({
      inUse: begun.length,
      queued: 5 - begun.length,
      calls: { accepted: begun.length, rejected: 0 },
    });
    await calls.end(0, 1, 2, 3, 4);
    await calls.end(0, 1, 2, 3, 4);
    expect(policy.snapshot()).toMatchObject({ inUse: 0, queued: 0, calls: { accepted: 5 } });
  });

  it('takes more at once where there is no queue', async () => {
    const policy = bulkheadOf({ maxConcurrent: 1 });
    const calls = await new Calls(policy).start(2);
    policy.configure({ maxConcurrent: 2 });
    await calls.start(2);
    expect(calls.begun).toEqual([0, 2]);
    expect(calls.outcomes).toEqual([undefined, 'BULKHEAD_FULL', undefined, 'BULKHEAD_FULL']);
  });

  it('passes over a waiting call whose deadline has come', async () => {
    const inner = bulkheadOf({ maxConcurrent: 1, maxQueue: 5 });
    const calls = await new Calls(inner).start(1);
    const hurried = await new Calls(pipeline(limitOf(10), inner)).start(1);
    await calls.start(1);
    lab.clock.jump(10);
    inner.configure({ maxConcurrent: 2 });
    expect(calls.begun).toEqual([0, 1]);
    await lab.clock.advance(0);
    expect(hurried).toMatchObject({ begun: [], outcomes: ['TIMEOUT'] });
    expect(inner.snapshot()).toMatchObject({ inUse: 2, queued: 0 });
  });
});

describe('R75 a bulkhead with fewer slots', () => {
  it.each([0, 3])(
    'lets what runs run, and starts nothing until enough is back, queue %i',
    async (maxQueue) => {
      const policy = bulkheadOf({ maxConcurrent: 4, maxQueue });
      const calls = await new Calls(policy).start(4 + maxQueue);
      policy.configure({ maxConcurrent: 2 });
      expect(policy.snapshot()).toMatchObject({ inUse: 4, queued: maxQueue });
      await calls.end(0, 1);
      expect(policy.snapshot()).toMatchObject({ inUse: 2, queued: maxQueue });
      expect(calls.begun).toEqual([0, 1, 2, 3]);
      await calls.end(2);
      expect(policy.snapshot()).toMatchObject({
        inUse: maxQueue === 0 ? 1 : 2,
        queued: Math.max(0, maxQueue - 1),
      });
      await calls.end(3, 4, 5, 6);
      await calls.end(3, 4, 5, 6);
      expect(policy.snapshot()).toMatchObject({
        inUse: 0,
        queued: 0,
        calls: { accepted: 4 + maxQueue, rejected: 0 },
      });
    },
  );
});

describe('R75 the queue of a bulkhead', () => {
  it('made shorter keeps whom it has and takes nobody more', async () => {
    const policy = bulkheadOf({ maxConcurrent: 1, maxQueue: 3 });
    const calls = await new Calls(policy).start(4);
    policy.configure({ maxQueue: 1 });
    await calls.start(1);
    expect(policy.snapshot()).toMatchObject({ queued: 3, calls: { rejected: 1 } });
    await calls.end(0, 1, 2, 3);
    for (let turn = 0; turn < 3; turn++) await calls.end(0, 1, 2, 3);
    expect(calls.outcomes).toEqual(['done', 'done', 'done', 'done', 'BULKHEAD_FULL']);
  });

  it('made 0 long and long again goes on as a queue', async () => {
    const policy = bulkheadOf({ maxConcurrent: 1, maxQueue: 1 });
    const calls = await new Calls(policy).start(1);
    policy.configure({ maxQueue: 0 });
    await calls.start(1);
    policy.configure({ maxQueue: 1 });
    await calls.start(1);
    await calls.end(0);
    expect(calls.begun).toEqual([0, 2]);
    expect(calls.outcomes).toEqual(['done', 'BULKHEAD_FULL']);
  });

  it.each([
    // queueTimeout before, after; changed at 30 ms; left at
    [100, 50, 50],
    [100, 20, 30],
    [50, 200, 200],
    [undefined, 80, 80],
  ])(
    'with a queueTimeout of %p changed to %i: counts from when a call came',
    async (before, timeout, left) => {
      const policy = bulkheadOf({ maxConcurrent: 1, maxQueue: 5, queueTimeout: before });
      const calls = await new Calls(policy).start(2);
      await lab.clock.advance(30);
      policy.configure({ queueTimeout: timeout });
      await lab.clock.advance(left - 30 - 1);
      expect(policy.snapshot().queued).toBe(1);
      await lab.clock.advance(1);
      expect(calls.outcomes).toEqual([undefined, 'BULKHEAD_FULL']);
      expect(policy.snapshot()).toMatchObject({ queued: 0, calls: { queue_timeout: 1 } });
    },
  );

  it('keeps a waiting call abortable', async () => {
    const policy = bulkheadOf({ maxConcurrent: 1, maxQueue: 5 });
    const calls = await new Calls(policy).start(1);
    const leaving = new AbortController();
    await calls.start(1, leaving.signal);
    policy.configure({ queueTimeout: 50 });
    leaving.abort();
    await lab.clock.advance(100);
    expect(policy.snapshot()).toMatchObject({ queued: 0, calls: { aborted: 1, queue_timeout: 0 } });
  });

  it('is let in at once when the bulkhead goes to shadow mode, and stands again after it', async () => {
    const policy = bulkheadOf({ maxConcurrent: 1, maxQueue: 2 });
    const calls = await new Calls(policy).start(3);
    policy.configure({ mode: 'shadow' });
    await settlePromises();
    expect(calls.begun).toEqual([0, 1, 2]);
    policy.configure({ mode: 'enforce' });
    await calls.start(1);
    await calls.end(0, 1);
    expect(calls.begun).toEqual([0, 1, 2]);
    await calls.end(2);
    expect(calls.begun).toEqual([0, 1, 2, 3]);
    await calls.end(3);
    expect(policy.snapshot()).toMatchObject({ inUse: 0, queued: 0, calls: { accepted: 4 } });
  });
});

describe('R75 a rate limit', () => {
  it.each<[string, Partial<RateLimitOptions>, number, number, number]>([
    // what changes, from 10 per second with 4 left; tokens at once, after 100 ms, after 10 s
    ['a higher limit', { limit: 100 }, 4, 14, 100],
    ['a lower limit', { limit: 2 }, 2, 2, 2],
    ['a lower limit, the burst left', { limit: 2, burst: 10 }, 4, 4.2, 10],
    ['another interval', { interval: 100 }, 4, 10, 10],
    ['a larger burst', { burst: 50 }, 4, 5, 50],
    ['a smaller burst', { burst: 3 }, 3, 3, 3],
  ])('with %s: keeps its tokens', async (_what, changes, now, soon, full) => {
    const policy = rateOf({ limit: 10, interval: 1000 });
    for (let call = 0; call < 6; call++) await policy.execute(() => call);
    policy.configure(changes);
    expect(policy.snapshot().tokens).toBeCloseTo(now, 9);
    lab.clock.jump(100);
    expect(policy.snapshot().tokens).toBeCloseTo(soon, 9);
    lab.clock.jump(9_900);
    expect(policy.snapshot().tokens).toBeCloseTo(full, 9);
    expect(policy.snapshot().calls.permitted).toBe(6);
  });

  it('is exact about retryAfter at its new speed', async () => {
    const policy = rateOf({ limit: 1, interval: 1000 });
    await policy.execute(() => 'the token');
    await lab.clock.advance(500);
    policy.configure({ interval: 4000 }); // half a token is missing, and it takes twice a second now
    expect(await lab.errorOf(policy.execute(() => 'more'))).toMatchObject({ retryAfter: 2000 });
  });

  it.each([
    // the limit per second becomes; the three that wait begin at
    [20, [50, 100, 150]],
    [5, [200, 400, 600]],
  ])('of %i a second: those that wait come in order at that speed', async (limit, at) => {
    const policy = rateOf({ limit: 10, interval: 1000, burst: 1, maxWait: 5000 });
    const begun: number[] = [];
    const calls = [0, 1, 2, 3].map(() => policy.execute(() => begun.push(lab.clock.now())));
    policy.configure({ limit });
    expect(lab.clock.pendingTimers).toBe(1);
    await lab.clock.advance(1000);
    await Promise.all(calls);
    expect(begun).toEqual([0, ...at]);
    expect(policy.snapshot()).toMatchObject({ calls: { permitted: 1, waited: 3 }, queued: 0 });
  });

  it('takes a new maxWait for new calls, and keeps those that wait', async () => {
    const policy = rateOf({ limit: 1, interval: 100, maxWait: 1000 });
    const calls = [0, 1, 2].map((call) => policy.execute(() => call));
    policy.configure({ maxWait: 0 });
    expect(await lab.errorOf(policy.execute(() => 'no'))).toMatchObject({ code: 'RATE_LIMITED' });
    expect(await Promise.all(calls)).toEqual([0, 1, 2]);
  });

  it('lets in at once who waits when it goes to shadow mode, each with its token', async () => {
    const policy = rateOf({ limit: 1, interval: 100, maxWait: 1000 });
    const calls = [0, 1, 2].map((call) => policy.execute(() => call));
    policy.configure({ mode: 'shadow' });
    expect(await Promise.all(calls)).toEqual([0, 1, 2]);
    policy.configure({ mode: 'enforce' });
    await lab.clock.advance(250);
    const late = policy.execute(() => lab.clock.now());
    expect(await lab.resultOf(late)).toBe(300);
  });

  it('passes over who waits although its deadline has come, when it goes to shadow mode', async () => {
    const policy = rateOf({ limit: 1, interval: 100, maxWait: 1000 });
    const begun: string[] = [];
    const run = (name: string, around: Policy = policy) =>
      settled(around.execute(() => begun.push(name)));
    const calls = [run('first'), run('late', pipeline(limitOf(150), policy)), run('last')];
    lab.clock.jump(500); // the timers are late
    policy.configure({ mode: 'shadow' });
    await lab.clock.runAll();
    expect(await calls[1]).toMatchObject({ error: { code: 'TIMEOUT' } });
    expect(begun).toEqual(['first', 'last']);
    expect(policy.snapshot()).toMatchObject({ calls: { permitted: 1, waited: 1 }, queued: 0 });
  });
});

describe('R75 a retry', () => {
  it('tries new calls under its new options, and ends running ones under theirs', async () => {
    const policy = retryOf({ maxAttempts: 3, baseDelay: 100 });
    const old: number[] = [];
    const running = settled(
      policy.execute(() => {
        old.push(lab.clock.now());
        throw down;
      }),
    );
    await lab.clock.advance(50);
    policy.configure({ maxAttempts: 2, baseDelay: 10, retryOn: TimeoutError });
    policy.configure({ retryOn: Error });
    const recent: number[] = [];
    const next = settled(
      policy.execute(() => {
        recent.push(lab.clock.now());
        throw down;
      }),
    );
    await lab.clock.runAll();
    expect(await running).toMatchObject({ error: { attempts: 3 } });
    expect(await next).toMatchObject({ error: { attempts: 2 } });
    expect({ old, recent }).toEqual({ old: [0, 100, 300], recent: [50, 60] });
    expect(policy.snapshot()).toMatchObject({ calls: { attempts: 2 }, attempts: 5 });
  });

  it('begins to look at values, and stops again', async () => {
    const policy = retryOf({ maxAttempts: 2, baseDelay: 1 });
    policy.configure({ retryOnResult: (value) => value === 'pending' });
    let calls = 0;
    const pending = (): string => (++calls % 2 === 1 ? 'pending' : 'ready');
    expect(await lab.resultOf(policy.execute(pending))).toBe('ready');
    policy.configure(new RetryConfig({ maxAttempts: 2 }));
    expect(await lab.resultOf(policy.execute(pending))).toBe('pending');
  });

  it('takes a budget', async () => {
    const budget = new RetryBudget({ ratio: 0, minPerSecond: 0 }, { runtime: lab.runtime });
    const policy = retryOf({ baseDelay: 1 });
    policy.configure({ budget });
    const error = await lab.errorOf(policy.execute(() => Promise.reject(down)));
    expect(error).toMatchObject({ reason: 'budget' });
  });

  it('does so without promises too', () => {
    const policy = new SyncRetryPolicy({ maxAttempts: 5, baseDelay: 0 }, { runtime: lab.runtime });
    let calls = 0;
    const failing = policy.wrapSync((): number => {
      calls++;
      throw down;
    });
    policy.configure({ maxAttempts: 2 });
    expect(thrownBy(failing)).toMatchObject({ attempts: 2 });
    expect(calls).toBe(2);
  });
});

describe('R75 a time limit', () => {
  it.each([
    [100, 20],
    [20, 100],
  ])(
    'of %i ms changed to %i: calls keep the limit under which they began',
    async (before, limit) => {
      const policy = limitOf(before);
      const hang = (): Promise<never> => new Promise(() => undefined);
      const ends: [number, number][] = [];
      const begin = (): void => {
        policy.execute(hang).catch((error: unknown) => {
          ends.push([(error as TimeoutError).timeout, lab.clock.now()]);
        });
      };
      begin();
      await lab.clock.advance(10);
      policy.configure(limit);
      begin();
      await lab.clock.runAll();
      const expected: [number, number][] = [
        [before, before],
        [limit, 10 + limit],
      ];
      expect(ends).toEqual(expected.sort((a, b) => a[1] - b[1]));
      expect(policy.snapshot()).toMatchObject({ options: { limit }, calls: { timed_out: 2 } });
    },
  );

  it.each([
    ['enforce', 'shadow', 'TIMEOUT', 'late'],
    ['shadow', 'enforce', 'late', 'TIMEOUT'],
  ] as const)('goes from %s to %s for calls that begin then', async (mode, to, first, second) => {
    const policy = timeLimit({ limit: 10, mode }, { runtime: lab.runtime });
    const call = () =>
      settled(policy.execute(() => after(20, 'late'))).then((outcome) =>
        'value' in outcome ? outcome.value : (outcome.error as TimeoutError).code,
      );
    const calls = [call()];
    policy.configure({ mode: to });
    calls.push(call());
    await lab.clock.runAll();
    expect(await Promise.all(calls)).toEqual([first, second]);
    expect(policy.snapshot().calls).toEqual({ in_time: 0, timed_out: 1, would_time_out: 1 });
  });

  it('lets go of the timer of a limit that no call has any more', async () => {
    const timers = new Set<Timer>();
    const clock: Clock = {
      now: () => lab.clock.now(),
      wallTime: () => lab.clock.wallTime(),
      sleepSync: () => undefined,
      setTimeout: (callback, delay) => {
        const timer = lab.clock.setTimeout(callback, delay);
        timers.add(timer);
        return timer;
      },
      clearTimeout: (timer) => {
        timers.delete(timer);
        lab.clock.clearTimeout(timer);
      },
    };
    const policy = timeLimit(1000, { runtime: { clock } });
    const call = (took: number) =>
      settled(policy.execute(() => (took === 0 ? 'done' : after(took, 'done'))));
    for (let limit = 1001; limit <= 1100; limit++) {
      await call(0);
      policy.configure(limit);
    }
    expect(timers.size).toBe(0);
    const running = call(10);
    policy.configure(500);
    expect(timers.size).toBe(1);
    await lab.clock.advance(10);
    expect(await running).toEqual({ value: 'done' });
    expect(timers.size).toBe(0);
  });
});

describe('R75 a change', () => {
  type Case = [string, () => Policy & { prepare(changes: never): () => void }, unknown, string[]];
  it.each<Case>([
    [
      'a bulkhead',
      () => bulkheadOf({ maxConcurrent: 3, maxQueue: 2 }),
      { maxConcurrent: 0, maxQueue: -1, maxConcurent: 5 },
      [
        'bulkhead(reports).maxConcurent is not a known option; did you mean "maxConcurrent"?',
        'bulkhead(reports).maxConcurrent must be a whole number of at least 1, got 0',
        'bulkhead(reports).maxQueue must be a whole number of at least 0, got -1',
      ],
    ],
    [
      'a bulkhead without a queue',
      () => bulkheadOf({ maxConcurrent: 3 }),
      { maxConcurrent: 5, maxQueue: 1 },
      [
        'bulkhead(reports).maxQueue cannot become 1 while the policy works: it was made without a ' +
          'queue, and its calls may be synchronous; start it with maxQueue of at least 1',
      ],
    ],
    [
      'a bulkhead without a queue, first of what each option says',
      () => bulkheadOf({ maxConcurrent: 3 }),
      { maxConcurrent: 0, maxQueue: 1 },
      ['bulkhead(reports).maxConcurrent must be a whole number of at least 1, got 0'],
    ],
    [
      'a bulkhead, of what is known of it',
      () => bulkheadOf({}),
      { name: 'other', timings: 'all' },
      [
        'bulkhead(reports).name cannot change while the policy works, got "other"',
        'bulkhead(reports).timings cannot change while the policy works, got "all"',
      ],
    ],
    [
      'a rate limit',
      () => rateOf({ limit: 1, interval: 10, maxWait: 1 }),
      { limit: 0, interval: 'soon' },
      [
        'rateLimit(partner).limit must be a whole number of at least 1, got 0',
        expect.stringContaining('rateLimit(partner).interval must be a duration') as string,
      ],
    ],
    [
      'a rate limit without maxWait',
      () => rateOf({ limit: 1, interval: 10 }),
      { limit: 5, maxWait: '1s' },
      [
        'rateLimit(partner).maxWait cannot become 1000 while the policy works: it was made without ' +
          'one, and its calls may be synchronous; start it with maxWait of at least 1 ms',
      ],
    ],
    [
      'a retry',
      () => retryOf({ maxAttempts: 3 }),
      { maxAttempts: 0, baseDelay: 1 },
      ['retry(api).maxAttempts must be a whole number of at least 1, got 0'],
    ],
    [
      'a retry, of a budget that only a module knows',
      () => retryOf({ maxAttempts: 3 }),
      { budget: 'shared' },
      [expect.stringContaining('retry(api).budget "shared" is a name') as string],
    ],
    [
      'a time limit',
      () => limitOf(10),
      { limit: 0, mode: 'shade' },
      [
        expect.stringContaining('timeLimit(page).limit must be a duration') as string,
        expect.stringContaining('timeLimit(page).mode must be one of') as string,
      ],
    ],
    [
      'a bulkhead, of nothing',
      () => bulkheadOf({}),
      null,
      ['bulkhead(reports) must be an object of options, got null'],
    ],
    [
      'a bulkhead, of a word',
      () => bulkheadOf({}),
      'larger',
      ['bulkhead(reports) must be an object of options, got "larger"'],
    ],
    [
      'a retry, of a list',
      () => retryOf({}),
      [],
      ['retry(api) must be an object of options, got []'],
    ],
  ])('that breaks a rule of %s changes nothing', (_what, make, changes, issues) => {
    const policy = make();
    const before = policy.options;
    const error = thrownBy(() => policy.prepare(changes as never));
    expect(error).toBeInstanceOf(ResilienceConfigError);
    expect((error as ResilienceConfigError).issues).toEqual(issues);
    expect(policy.options).toBe(before);
  });

  it.each<[string, () => Policy & { prepare(changes: never): () => void }, object, object]>([
    ['a bulkhead', () => bulkheadOf({ maxConcurrent: 3 }), { maxConcurrent: 5 }, { maxQueue: 0 }],
    [
      'a rate limit',
      () => rateOf({ limit: 3, interval: 7 }),
      { limit: 5 },
      { interval: 7, burst: 5 },
    ],
    ['a retry', () => retryOf({ maxAttempts: 3 }), { maxAttempts: 5 }, { baseDelay: 100 }],
    ['a time limit', () => limitOf(3), { limit: 5 }, { mode: 'enforce' }],
  ])('of %s is checked first, and made when it is told', (_what, make, changes, kept) => {
    const policy = make();
    const before = policy.options;
    const apply = policy.prepare({
      ...changes,
      ...Object.fromEntries(Object.keys(kept).map((key) => [key, undefined])),
    } as never);
    expect(policy.options).toBe(before);
    apply();
    expect(policy.options).toMatchObject({ ...changes, ...kept });
    expect(Object.isFrozen(policy.options)).toBe(true);
  });

  it.each<[string, () => Policy & { prepare(changes: never): () => void }, object, object]>([
    ['a circuit breaker', breakerOf, { failureThreshold: 7 }, { recoveryTimeout: 5 }],
    ['keyed circuit breakers', keyedOf, { failureThreshold: 7 }, { recoveryTimeout: 5 }],
    ['a bulkhead', () => bulkheadOf({}), { maxConcurrent: 5 }, { mode: 'shadow' }],
    ['a rate limit', () => rateOf({ limit: 3, interval: 7 }), { limit: 5 }, { interval: 9 }],
    ['a retry', () => retryOf({}), { maxAttempts: 5 }, { baseDelay: 7 }],
    ['a time limit', () => limitOf(3), { limit: 5 }, { mode: 'shadow' }],
  ])('of %s leaves what was changed before it is made', (_what, make, first, second) => {
    const policy = make();
    const [one, other] = [policy.prepare(first as never), policy.prepare(second as never)];
    one();
    other();
    expect(policy.options).toMatchObject({ ...first, ...second });
  });

  it.each([
    ['a plain object', {}],
    ['an object without a prototype', Object.create(null) as object],
  ])('is that of its check, whatever is written into %s later', (_what, changes) => {
    const breaker = breakerOf();
    const window = { type: 'count', size: 10, failureRate: 0.5, minimumCalls: 5 };
    const apply = breaker.prepare(Object.assign(changes, { failureThreshold: 7, window }) as never);
    Object.assign(changes, { failureThreshold: -1 });
    window.size = 0;
    apply();
    expect(breaker.options).toMatchObject({ failureThreshold: 7, window: { size: 10 } });
  });

  it('that goes in a circle is refused like any other', () => {
    const changes = { failureThreshold: 7, self: {} };
    changes.self = changes;
    const error = thrownBy(() => breakerOf().prepare(changes));
    expect(error).toBeInstanceOf(ResilienceConfigError);
  });

  it.each([
    ['its own name', bulkhead({ name: 'db' }), { name: 'db', maxConcurrent: 5 }],
    ['its own timings', bulkhead({ timings: 'all' }), { timings: 'all', maxConcurrent: 5 }],
  ] as const)('may hold %s, written again', (_what, policy, changes) => {
    policy.configure(changes);
    expect(policy.options).toMatchObject(changes);
  });
});
