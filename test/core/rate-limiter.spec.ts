import { AsyncLocalStorage } from 'node:async_hooks';
import { getEventListeners } from 'node:events';
import fc from 'fast-check';
import {
  AbortError,
  Lifetime,
  type RateLimitOptions,
  type RateLimitPolicy,
  RateLimitedError,
  TimeoutError,
  bulkhead,
  isResilienceError,
  pipeline,
  rateLimit,
  timeLimit,
} from 'nestjs-bulwark/core';
import { Lab, down, settled, thrownBy } from '../support/lab.js';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});

const limiter = (options: RateLimitOptions): RateLimitPolicy =>
  rateLimit(options, { runtime: lab.runtime });

/** Plays calls (`c`) and waits of 10 ms (`.`), and shows what was let through (`c`) or not (`x`). */
async function play(policy: RateLimitPolicy, history: string): Promise<string> {
  let seen = '';
  for (const step of history) {
    if (step === '.') lab.clock.jump(10);
    else seen += 'value' in (await settled(policy.execute(() => 'through'))) ? 'c' : 'x';
  }
  return seen;
}

describe('a rate limit', () => {
  it.each([
    ['starts full', { limit: 3, interval: 30 }, 'cccc', 'cccx'],
    ['gets one token after another', { limit: 3, interval: 30 }, 'cccc.cc.cc', 'cccxcxcx'],
    ['never holds more than its burst', { limit: 3, interval: 30 }, '..........cccc', 'cccx'],
    ['bursts less than its limit', { limit: 3, interval: 30, burst: 1 }, 'cc.cc', 'cxcx'],
    [
      'bursts more than its limit',
      { limit: 1, interval: 10, burst: 3 },
      'cccc.cc...cccc',
      'cccxcxcccx',
    ],
    ['takes durations', { limit: 1, interval: '10ms' }, 'cc.c', 'cxc'],
    ['takes a microsecond for rounding', { limit: 1, interval: 10.001 }, 'c.cc', 'ccx'],
  ])('%s', async (_what, options, history, seen) => {
    expect(await play(limiter(options), history)).toBe(seen);
  });

  it.each([
    [{ limit: 4, interval: 1000 }, 0, 250],
    [{ limit: 4, interval: 1000 }, 100, 150],
    [{ limit: 3, interval: 1000 }, 0, 1000 / 3],
    [{ limit: 2, interval: 10, burst: 1 }, 0, 5],
  ])('of %j rejects %d ms later with retryAfter %d', async (options, later, retryAfter) => {
    const policy = limiter(options);
    const burst = policy.options.burst;
    for (let call = 0; call < burst; call++) await policy.execute(() => 'through');
    lab.clock.jump(later);
    const error = (await lab.errorOf(policy.execute(() => 'no'))) as RateLimitedError;
    expect(error).toBeInstanceOf(RateLimitedError);
    expect(error.limiterName).toBe('rateLimit');
    expect(error.retryAfter).toBeCloseTo(retryAfter, 9);
    lab.clock.jump(error.retryAfter - 0.01);
    expect(await play(policy, 'c')).toBe('x');
    lab.clock.jump(0.01);
    expect(await play(policy, 'cc')).toBe('cx');
  });

  it('lets no more through than burst + limit x time / interval, and never less than it could', async () => {
    const gaps = fc.array(fc.double({ min: 0, max: 100, noNaN: true }), { maxLength: 60 });
    const options = fc.record({
      limit: fc.integer({ min: 1, max: 20 }),
      interval: fc.integer({ min: 1, max: 1000 }),
      burst: fc.integer({ min: 1, max: 20 }),
    });
    await fc.assert(
      fc.asyncProperty(options, gaps, async (given, times) => {
        lab = new Lab();
        const policy = limiter(given);
        let tokens = given.burst;
        for (const gap of times) {
          lab.clock.jump(gap);
          tokens = Math.min(given.burst, tokens + (gap * given.limit) / given.interval);
          const through = (await play(policy, 'c')) === 'c';
          if (Math.abs(tokens - 1) > 1e-6) expect(through).toBe(tokens > 1);
          if (through) tokens--;
        }
      }),
    );
  });

  it('takes no token for finding out that a function returns a stream', async () => {
    const policy = limiter({ limit: 1, interval: 1000 });
    const numbers = policy.wrap(() =>
      (async function* () {
        yield await Promise.resolve(1);
      })(),
    );
    const seen: number[] = [];
    for await (const each of numbers()) seen.push(each);
    expect(seen).toEqual([1]);
    expect(policy.snapshot().tokens).toBe(0);
    expect(await settled(numbers().next())).toMatchObject({ error: { code: 'RATE_LIMITED' } });
  });

  it('keeps the token of an iteration that fails, where calls may wait', async () => {
    const policy = limiter({ limit: 2, interval: '1h', maxWait: 1 });
    const numbers = policy.wrap(async function* () {
      yield await Promise.reject<number>(down);
    });
    expect(await settled(numbers().next())).toEqual({ error: down });
    expect(policy.snapshot()).toMatchObject({ tokens: 1, calls: { permitted: 1 } });
  });

  it('keeps the token of a call that fails', async () => {
    const policy = limiter({ limit: 1, interval: 1000 });
    const gates = pipeline(policy, bulkhead({}, { runtime: lab.runtime }));
    expect(await lab.errorOf(gates.execute(() => Promise.reject(down)))).toBe(down);
    expect(policy.snapshot().tokens).toBe(0);
  });

  it('keeps the kind of result of a synchronous function, and throws from it', () => {
    const policy = limiter({ limit: 1, interval: 1000 });
    const plain = policy.wrap((more: number) => 40 + more);
    expect(plain(2)).toBe(42);
    expect(
      isResilienceError(
        thrownBy(() => plain(2)),
        'RATE_LIMITED',
      ),
    ).toBe(true);
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it.each([false, true])('with captureStack: %s rejects so', async (captureStack) => {
    const policy = limiter({ limit: 1, interval: 1000, captureStack });
    await policy.execute(() => 'through');
    const { stack } = (await lab.errorOf(policy.execute(() => 'no'))) as Error;
    expect(stack?.includes('rate-limiter.spec')).toBe(captureStack);
  });

  it('passes on what the work throws', async () => {
    const policy = limiter({ limit: 1, interval: 1 });
    expect(await lab.errorOf(policy.execute(() => Promise.reject(down)))).toBe(down);
    lab.clock.jump(1);
    expect(
      await lab.errorOf(
        policy.execute(() => {
          throw down;
        }),
      ),
    ).toBe(down);
    expect(policy.snapshot().calls).toEqual({ permitted: 2, waited: 0, rejected: 0 });
  });
});

describe('a rate limit with maxWait', () => {
  it('lets calls wait in their order and spreads them, and rejects who would wait too long', async () => {
    const policy = limiter({ limit: 1, interval: 100, maxWait: 250 });
    const begun: [number, number][] = [];
    const calls = [0, 1, 2, 3].map((call) =>
      settled(policy.execute(() => begun.push([call, lab.clock.now()]))),
    );
    expect(await calls[3]).toMatchObject({ error: { name: 'RateLimitedError', retryAfter: 300 } });
    await lab.clock.runAll();
    expect(begun).toEqual([
      [0, 0],
      [1, 100],
      [2, 200],
    ]);
    expect(policy.snapshot().calls).toEqual({ permitted: 1, waited: 2, rejected: 1 });
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('lets a new call wait behind those that wait', async () => {
    const policy = limiter({ limit: 1, interval: 100, maxWait: 1000 });
    const begun: string[] = [];
    const run = (name: string): Promise<unknown> => policy.execute(() => begun.push(name));
    void run('first');
    void run('second');
    lab.clock.jump(100);
    void run('third');
    await lab.clock.runAll();
    expect(begun).toEqual(['first', 'second', 'third']);
  });

  it('gives the turn of an aborted call to the one behind it', async () => {
    const policy = limiter({ limit: 1, interval: 100, maxWait: 1000 });
    const caller = new AbortController();
    const begun: [string, number][] = [];
    const run = (name: string, signal?: AbortSignal): Promise<unknown> =>
      settled(policy.execute(() => begun.push([name, lab.clock.now()]), { signal }));
    const calls = [run('a'), run('b', caller.signal), run('c')];
    await lab.clock.advance(50);
    caller.abort(down);
    expect(await calls[1]).toEqual({ error: down });
    await lab.clock.runAll();
    expect(begun).toEqual([
      ['a', 0],
      ['c', 100],
    ]);
    expect(getEventListeners(caller.signal, 'abort')).toEqual([]);
    expect(policy.snapshot()).toMatchObject({ calls: { permitted: 1, waited: 1 }, queued: 0 });
  });

  it('leaves no timer when the last that waits is aborted', async () => {
    const policy = limiter({ limit: 1, interval: 100, maxWait: 1000 });
    await policy.execute(() => 'through');
    const caller = new AbortController();
    const waiting = settled(policy.execute(() => 'never', { signal: caller.signal }));
    caller.abort(down);
    expect(await waiting).toEqual({ error: down });
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it.each([
    [99, 'rejected at once', 'RateLimitedError', 0],
    [100, 'rejected at once', 'RateLimitedError', 0],
    [101, 'made', 'none', 100],
  ])('a call with %d ms left that would wait 100 is %s', async (left, _what, name, at) => {
    const policy = limiter({ limit: 1, interval: 100, maxWait: 1000 });
    await policy.execute(() => 'through');
    const total = timeLimit(left, { runtime: lab.runtime });
    let ended = 0;
    const outcome = await lab.outcomeOf(
      settled(pipeline(total, policy).execute(() => ({ name: 'none' }))).then((each) => {
        ended = lab.clock.now();
        return each;
      }),
    );
    expect(outcome).toMatchObject({
      value: name === 'none' ? { value: { name } } : { error: { name } },
    });
    expect(ended).toBe(at);
  });

  it('never starts a call whose deadline has passed while the timer was late', async () => {
    const policy = limiter({ limit: 1, interval: 100, maxWait: 1000 });
    await policy.execute(() => 'through');
    const total = timeLimit(150, { runtime: lab.runtime });
    let made = 0;
    const running = settled(pipeline(total, policy).execute(() => made++));
    lab.clock.jump(500);
    await lab.clock.advance(0);
    const outcome = await running;
    expect(made).toBe(0);
    expect([TimeoutError, RateLimitedError]).toContain(
      ('error' in outcome ? (outcome.error as Error) : down).constructor,
    );
    expect(policy.snapshot().calls).toEqual({ permitted: 1, waited: 0, rejected: 1 });
  });

  it('starts waiting work in the async context of its own caller', async () => {
    const requests = new AsyncLocalStorage<string>();
    const policy = limiter({ limit: 1, interval: 100, maxWait: 1000 });
    const seen: unknown[] = [];
    for (const id of ['first', 'second', 'third']) {
      void requests.run(id, () => policy.execute(() => seen.push(requests.getStore())));
    }
    await lab.clock.runAll();
    expect(seen).toEqual(['first', 'second', 'third']);
  });

  it('R33 gives up what waits at shutdown', async () => {
    const lifetime = new Lifetime();
    const runtime = { ...lab.runtime, lifetime };
    const policy = rateLimit({ limit: 1, interval: 100, maxWait: 1000 }, { runtime });
    await policy.execute(() => 'through');
    const waiting = settled(policy.execute(() => 'never'));
    lifetime.end();
    expect(await waiting).toEqual({ error: new AbortError('Shutting down') });
    const caller = new AbortController();
    const late = policy.execute(() => 'too late', { signal: caller.signal });
    expect(await settled(late)).toEqual({ error: new AbortError('Shutting down') });
    expect(getEventListeners(caller.signal, 'abort')).toEqual([]);
    caller.abort(down);
    expect(policy.snapshot().queued).toBe(0);
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('gives a promise for a synchronous function, also of what it throws', async () => {
    const policy = limiter({ limit: 10, interval: 100, maxWait: 1 });
    const value: unknown = policy.wrap(() => 'plain')();
    expect(await settled(value as Promise<unknown>)).toEqual({ value: 'plain' });
    const thrown: unknown = policy.wrap((): string => {
      throw down;
    })();
    expect(await settled(thrown as Promise<unknown>)).toEqual({ error: down });
  });
});

describe('a rate limit as a policy', () => {
  it('R81 has an id, a description and a snapshot', async () => {
    const policy = limiter({ limit: 4, interval: '1s', name: 'partner' });
    await policy.execute(() => 'through');
    const options = expect.objectContaining({ limit: 4, interval: 1000, burst: 4, maxWait: 0 });
    expect(policy.id).toBe('rateLimit:partner');
    expect(policy.describe()).toEqual([{ kind: 'rateLimit', name: 'partner', options }]);
    expect(policy.snapshot()).toEqual({
      id: 'rateLimit:partner',
      kind: 'rateLimit',
      name: 'partner',
      options,
      calls: { permitted: 1, waited: 0, rejected: 0 },
      tokens: 3,
      queued: 0,
      shadowRejections: 0,
    });
  });

  it.each([
    [undefined, ['limit', 'interval']],
    [{}, ['limit', 'interval']],
    [{ limit: 0, interval: 0 }, ['limit', 'interval']],
    [
      { limit: 1.5, interval: 'x', burst: 0, maxWait: -1 },
      ['limit', 'interval', 'burst', 'maxWait'],
    ],
    [
      { limit: 1, interval: 1, maxwait: 5 },
      ['maxwait is not a known option; did you mean "maxWait"?'],
    ],
    [{ limit: 1, interval: 1, name: ' ', captureStack: 'yes' }, ['name', 'captureStack']],
  ])('refuses %j', (options, problems) => {
    expect(thrownBy(() => rateLimit(options as never))).toMatchObject({
      code: 'INVALID_CONFIG',
      issues: problems.map(
        (each) => expect.stringContaining(`rateLimit(rateLimit).${each}`) as unknown,
      ),
    });
  });
});
