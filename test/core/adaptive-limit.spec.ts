import fc from 'fast-check';
import {
  type AdaptiveLimitOptions,
  type AdaptiveLimitPolicy,
  BulkheadRejectedError,
  TimeoutError,
  adaptiveLimit,
  bulkhead,
  hedge,
  pipeline,
  timeLimit,
} from 'nestjs-bulwark/core';
import { Lab, coded, deferred, down, settled, thrownBy } from '../support/lab.js';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});

const limit = (options?: AdaptiveLimitOptions): AdaptiveLimitPolicy =>
  adaptiveLimit(options, { runtime: lab.runtime });
const later = (delay: number): Promise<void> =>
  new Promise((resolve) => lab.clock.setTimeout(resolve, delay));

/** Works on `capacity` calls at once; beyond that each takes proportionally longer. */
class Dependency {
  inFlight = 0;
  constructor(
    public capacity: number,
    public latency = 200,
    private readonly noise = (): number => 1,
  ) {}

  readonly call = async (): Promise<void> => {
    const load = ++this.inFlight / this.capacity;
    await later(this.latency * Math.max(1, load) * this.noise());
    this.inFlight--;
  };

  /** Turns away what it cannot work on, at once. */
  readonly shed = async (): Promise<void> => {
    if (this.inFlight >= this.capacity) throw httpError(503);
    await this.call();
  };
}

const httpError = (status: number): Error => Object.assign(new Error('http'), { status });

/** So many calls a second, evenly, whatever becomes of them. */
function traffic(perSecond: number, policy: AdaptiveLimitPolicy, work: () => unknown): () => void {
  let stopped = false;
  let owed = 0;
  const step = (): void => {
    for (owed += perSecond / 100; owed >= 1; owed--) void settled(policy.execute(work));
    if (!stopped) lab.clock.setTimeout(step, 10);
  };
  step();
  return () => void (stopped = true);
}

const seconds = (count: number): Promise<void> => lab.clock.advance(count * 1000);

/** The means of the limit and of the calls in use, a look each 100 ms. */
async function meanOver(time: number, policy: AdaptiveLimitPolicy): Promise<number> {
  let total = 0;
  for (let look = 0; look < time * 10; look++) {
    await lab.clock.advance(100);
    total += policy.snapshot().limit;
  }
  return total / (time * 10);
}

describe('an adaptive limit', () => {
  it.each<[number, AdaptiveLimitOptions]>([
    [5, {}],
    [20, {}],
    [60, {}],
    [20, { initialLimit: 1 }],
    [20, { initialLimit: 200 }],
    [20, { tolerance: 1, queueSize: 2 }],
    [20, { smoothing: 0.5, window: '250ms' }],
    [40, { queueSize: (now) => now / 10 }],
  ])('settles near a capacity of %d calls with %j', async (capacity, options) => {
    const policy = limit(options);
    const dependency = new Dependency(capacity);
    const stop = traffic(capacity * 8, policy, dependency.call);
    await seconds(60);
    const mean = await meanOver(10, policy);
    expect(mean).toBeGreaterThan(capacity * 0.95);
    expect(mean).toBeLessThan(capacity * 1.5 + 3);
    expect(policy.snapshot().longRtt).toBeCloseTo(200, -1.5);
    stop();
  });

  it('follows the capacity down and up again', async () => {
    const policy = limit();
    const dependency = new Dependency(40);
    const stop = traffic(300, policy, dependency.call);
    const seen: number[] = [];
    for (const capacity of [40, 8, 40]) {
      dependency.capacity = capacity;
      await seconds(60);
      seen.push((await meanOver(10, policy)) / capacity);
    }
    for (const share of seen) {
      expect(share).toBeGreaterThan(0.95);
      expect(share).toBeLessThan(1.75);
    }
    stop();
  });

  it('follows a dependency that gets slower for reasons of its own', async () => {
    const policy = limit();
    const dependency = new Dependency(40);
    const stop = traffic(300, policy, dependency.call);
    await seconds(100);
    dependency.latency = 600;
    await seconds(200);
    expect(policy.snapshot().longRtt).toBeCloseTo(600, -1.5);
    expect(policy.snapshot().limit).toBeGreaterThan(38);
    stop();
  });

  it('settles near the capacity although latencies scatter', async () => {
    const random = seeded(7);
    const dependency = new Dependency(20, 200, () => -Math.log(1 - random()));
    const policy = limit();
    const stop = traffic(300, policy, dependency.call);
    await seconds(120);
    const mean = await meanOver(60, policy);
    expect(mean).toBeGreaterThan(16);
    expect(mean).toBeLessThan(36);
    stop();
  });

  it('settles near the capacity of a dependency that turns the excess away', async () => {
    const dependency = new Dependency(20);
    const policy = limit();
    const stop = traffic(300, policy, dependency.shed);
    await seconds(90);
    const mean = await meanOver(30, policy);
    expect(mean).toBeGreaterThan(18);
    expect(mean).toBeLessThan(30);
    stop();
  });

  it('grows only while it is in use', async () => {
    const policy = limit({ initialLimit: 20 });
    const stop = traffic(40, policy, new Dependency(1000).call);
    await seconds(60);
    expect(policy.snapshot()).toMatchObject({ limit: 20 });
    stop();
  });

  it.each<[string, () => unknown, number | 'smaller']>([
    ['a time-out', () => new TimeoutError(5), 'smaller'],
    ['HTTP 503', () => httpError(503), 'smaller'],
    ['HTTP 429', () => httpError(429), 'smaller'],
    ['a refused connection', () => coded('ECONNREFUSED'), 'smaller'],
    [
      'an error behind which is HTTP 504',
      () => new Error('x', { cause: httpError(504) }),
      'smaller',
    ],
    ['HTTP 404', () => httpError(404), 20],
    ['any error', () => down, 20],
    ['a rejection of another policy', () => new BulkheadRejectedError('inner'), 20],
  ])('takes %s for what it tells', async (_what, error, expected) => {
    const policy = limit({ minimumCalls: 5 });
    const stop = traffic(200, policy, async () => {
      await later(20);
      throw error() as Error;
    });
    await seconds(10);
    stop();
    const { limit: now, calls } = policy.snapshot();
    expect(expected === 'smaller' ? now < 20 : now).toBe(expected === 'smaller' ? true : 20);
    expect(calls[expected === 'smaller' ? 'dropped' : 'ignored']).toBeGreaterThan(100);
  });

  it('goes down to its least when everything is dropped', async () => {
    const policy = limit({ minLimit: 2 });
    const stop = traffic(500, policy, async () => {
      await later(20);
      throw new TimeoutError(20);
    });
    await seconds(60);
    expect(policy.snapshot().limit).toBe(2);
    stop();
  });

  it('takes only what dropOn names for a drop; a filter that throws is logged and drops', async () => {
    const policy = limit({ dropOn: ['EFULL', (error) => (error as { bad: boolean }).bad] });
    for (const error of [coded('EFULL'), httpError(503), { bad: true }]) {
      await settled(policy.execute(() => Promise.reject(error as Error)));
    }
    expect(policy.snapshot().calls).toMatchObject({ dropped: 2, ignored: 1 });
    // eslint-disable-next-line @typescript-eslint/prefer-promise-reject-errors -- a hostile value
    await settled(policy.execute(() => Promise.reject(null)));
    expect(policy.snapshot().calls).toMatchObject({ dropped: 3, ignored: 1 });
    expect(lab.logger.errors).toMatchObject([
      { message: 'Adaptive limit "adaptiveLimit": dropOn threw; the call counts as dropped' },
    ]);
  });

  it('rejects when its limit is in use, and only then', async () => {
    const policy = limit({ initialLimit: 2, maxLimit: 2, name: 'search' });
    const gates = [deferred(), deferred()];
    const running = gates.map(({ promise }) => policy.execute(() => promise));
    const error = await lab.errorOf(policy.execute(() => 'no'));
    expect(error).toBeInstanceOf(BulkheadRejectedError);
    expect(error).toMatchObject({
      bulkheadName: 'search',
      stack: expect.not.stringContaining('at '),
    });
    gates[0]?.resolve('done');
    await running[0];
    expect(await policy.execute(() => 'yes')).toBe('yes');
    gates[1]?.resolve('done');
    await running[1];
    expect(policy.snapshot()).toMatchObject({ calls: { accepted: 3, rejected: 1 }, inUse: 0 });
  });

  it('keeps the kind of the result', () => {
    const add = limit({ initialLimit: 1, maxLimit: 1 }).wrap((a: number, b: number) => a + b);
    expect(add(1, 2)).toBe(3);
    expect(add(3, 4)).toBe(7);
  });

  it('shows stack traces where it is told to', async () => {
    const policy = limit({ initialLimit: 1, maxLimit: 1, captureStack: true });
    void policy.execute(() => new Promise(() => undefined));
    const { stack } = (await lab.errorOf(policy.execute(() => 'no'))) as Error;
    expect(stack).toContain('at ');
  });
});

describe('a slot of an adaptive limit', () => {
  it.each([
    ['inside', (policy: AdaptiveLimitPolicy) => pipeline(policy, timeLimit(10, lab))],
    ['outside', (policy: AdaptiveLimitPolicy) => pipeline(timeLimit(10, lab), policy)],
  ])('is held past a time limit %s it until the work has settled', async (_where, around) => {
    const policy = limit({ initialLimit: 1 });
    const work = deferred();
    const call = settled(around(policy).execute(() => work.promise));
    await lab.clock.advance(10);
    expect(await call).toMatchObject({ error: { code: 'TIMEOUT' } });
    expect(policy.snapshot().inUse).toBe(1);
    expect(await lab.errorOf(policy.execute(() => 'no'))).toBeInstanceOf(BulkheadRejectedError);
    work.resolve('late');
    await lab.clock.advance(0);
    expect(policy.snapshot().inUse).toBe(0);
  });

  it('is held until the losers of a hedge have settled', async () => {
    const policy = limit({ initialLimit: 1 });
    const hedged = pipeline(policy, hedge({ delay: 5 }, lab));
    const slow = deferred();
    let tries = 0;
    const call = hedged.execute(() => (tries++ === 0 ? slow.promise : 'quick'));
    await lab.clock.advance(5);
    expect(await call).toBe('quick');
    expect(policy.snapshot().inUse).toBe(1);
    slow.resolve('slow');
    await lab.clock.advance(0);
    expect(policy.snapshot().inUse).toBe(0);
  });

  it('counts a time-out inside it as dropped, once', async () => {
    const policy = limit();
    const call = settled(pipeline(policy, timeLimit(10, lab)).execute(() => later(20)));
    await lab.clock.advance(30);
    await call;
    expect(policy.snapshot()).toMatchObject({ calls: { dropped: 1, ignored: 0 }, inUse: 0 });
  });

  it('is given back by a call that was aborted, which tells nothing', async () => {
    const policy = limit();
    for (const around of [policy, pipeline(policy, timeLimit(1000, lab))]) {
      const caller = new AbortController();
      const call = settled(
        around.execute(
          ({ signal }) =>
            new Promise((_, reject) =>
              signal.addEventListener('abort', () => reject(signal.reason as Error)),
            ),
          { signal: caller.signal },
        ),
      );
      caller.abort(coded('ETIMEDOUT'));
      await call;
    }
    await lab.clock.advance(0);
    const calls = { accepted: 2, dropped: 0, ignored: 2 };
    expect(policy.snapshot()).toMatchObject({ calls, inUse: 0 });
  });

  it('is given back by work that throws at once', async () => {
    const policy = limit();
    await settled(
      policy.execute(() => {
        throw down;
      }),
    );
    expect(policy.snapshot()).toMatchObject({ calls: { ignored: 1 }, inUse: 0 });
  });

  it('is not taken from a bulkhead outside that is full', async () => {
    const policy = limit();
    const both = pipeline(bulkhead({ maxConcurrent: 1 }, lab), policy);
    void both.execute(() => new Promise(() => undefined));
    await settled(both.execute(() => 'no'));
    expect(policy.snapshot()).toMatchObject({ calls: { accepted: 1 }, inUse: 1 });
  });
});

describe('a probe', () => {
  it('lowers the limit for a moment, measures, and lets go', async () => {
    const policy = limit({ probeInterval: '20s' });
    const stop = traffic(300, policy, new Dependency(20).call);
    await seconds(60);
    let probed = 0;
    let lowest = Infinity;
    for (let look = 0; look < 400; look++) {
      await lab.clock.advance(100);
      const { probing, limit: now } = policy.snapshot();
      if (probing) [probed, lowest] = [probed + 1, Math.min(lowest, now)];
    }
    expect(probed).toBeGreaterThan(5);
    expect(probed).toBeLessThan(60);
    expect(lowest).toBeLessThan(20);
    stop();
  });

  it('ends although calls hang that it waits for', async () => {
    const policy = limit({ initialLimit: 20, maxLimit: 20 });
    for (let call = 0; call < 15; call++) void policy.execute(() => new Promise(() => undefined));
    const stop = traffic(100, policy, new Dependency(100).call);
    await seconds(2);
    expect(policy.snapshot()).toMatchObject({ probing: true, limit: 10 });
    await seconds(20);
    expect(policy.snapshot()).toMatchObject({ probing: false, limit: 20 });
    stop();
  });
});

describe('whatever happens', () => {
  it('keeps its limit within its bounds and gives every slot back', async () => {
    const outcome = fc.constantFrom('fine', 'slow', 'dropped', 'failed', 'aborted');
    const options = fc.record(
      {
        minLimit: fc.integer({ min: 1, max: 10 }),
        maxLimit: fc.integer({ min: 10, max: 40 }),
        smoothing: fc.double({ min: 0.01, max: 1, noNaN: true }),
        tolerance: fc.double({ min: 1, max: 3, noNaN: true }),
        queueSize: fc.constantFrom(
          0,
          1,
          1000,
          () => NaN,
          () => -5,
          (now: number) => now * 9,
        ),
        minimumCalls: fc.integer({ min: 1, max: 5 }),
        probeInterval: fc.integer({ min: 1, max: 5000 }),
        window: fc.integer({ min: 1, max: 500 }),
      },
      { requiredKeys: ['minLimit', 'maxLimit'] },
    );
    const calls = fc.array(
      fc.record({ outcome, at: fc.integer({ min: 0, max: 20_000 }), gap: fc.nat(300) }),
      { minLength: 20, maxLength: 150, size: 'max' },
    );
    await fc.assert(
      fc.asyncProperty(options, calls, async (given, plan) => {
        lab = new Lab();
        const policy = limit({ ...given, dropOn: 'DROP' });
        const { minLimit, maxLimit } = given;
        const bad: number[] = [];
        const check = (): void => {
          const { limit: now, inUse } = policy.snapshot();
          if (now < minLimit || now > maxLimit || inUse > maxLimit || inUse < 0) bad.push(now);
        };
        for (const { outcome: kind, at, gap } of plan) {
          lab.clock.setTimeout(() => {
            const work = async (): Promise<void> => {
              check();
              await later(kind === 'slow' ? gap * 10 : gap);
              if (kind === 'dropped') throw coded('DROP');
              if (kind === 'failed') throw down;
              if (kind === 'aborted') throw new DOMException('bye', 'AbortError');
            };
            void settled(policy.execute(work)).then(check);
          }, at);
        }
        await lab.clock.runAll();
        expect(bad).toEqual([]);
        expect(policy.snapshot().inUse).toBe(0);
      }),
      { numRuns: 60 },
    );
  });
});

describe('options of an adaptive limit', () => {
  it('have their defaults', () => {
    expect(adaptiveLimit().snapshot()).toEqual({
      id: 'adaptiveLimit:adaptiveLimit',
      kind: 'adaptiveLimit',
      name: 'adaptiveLimit',
      options: expect.objectContaining({
        initialLimit: 20,
        minLimit: 1,
        maxLimit: 200,
        smoothing: 0.2,
        tolerance: 1.2,
        queueSize: Math.sqrt,
        window: 1000,
        minimumCalls: 10,
        probeInterval: 30_000,
        captureStack: false,
      }),
      calls: { accepted: 0, rejected: 0, dropped: 0, ignored: 0 },
      limit: 20,
      inUse: 0,
      shortRtt: undefined,
      longRtt: undefined,
      probing: false,
    });
  });

  it.each([
    [{ maxLimit: 5 }, 5],
    [{ minLimit: 50 }, 50],
  ])('begin within their bounds: %j', (options, initialLimit) => {
    expect(adaptiveLimit(options).options).toMatchObject({ initialLimit });
  });

  it.each([
    [
      { minLimit: 10, maxLimit: 5 },
      'adaptiveLimit(adaptiveLimit).minLimit must be at most maxLimit (5), got 10',
    ],
    [
      { minLimit: 5, initialLimit: 2 },
      'adaptiveLimit(adaptiveLimit).initialLimit must be between minLimit (5) and maxLimit (200), got 2',
    ],
    [
      { initialLimit: 300 },
      'adaptiveLimit(adaptiveLimit).initialLimit must be between minLimit (1) and maxLimit (200), got 300',
    ],
    [
      { maxLimt: 5 },
      'adaptiveLimit(adaptiveLimit).maxLimt is not a known option; did you mean "maxLimit"?',
    ],
    [
      { queueSize: 'x' },
      'adaptiveLimit(adaptiveLimit).queueSize must be a number of at least 0, or be a function, got "x"',
    ],
  ])('are checked: %j', (options, issue) => {
    const { issues } = thrownBy(() => adaptiveLimit(options as never)) as { issues: string[] };
    expect(issues).toContain(issue);
  });
});

/** Mulberry32. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
