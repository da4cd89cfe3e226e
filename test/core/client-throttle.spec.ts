import fc from 'fast-check';
import {
  CircuitBreaker,
  type ClientThrottleOptions,
  type ClientThrottlePolicy,
  RejectedError,
  ThrottledError,
  TimeoutError,
  clientThrottle,
  isOverloadError,
  pipeline,
  retry,
} from 'nestjs-bulwark/core';
import { Lab, coded, down, settled, thrownBy } from '../support/lab.js';

let lab: Lab;
let random: () => number;
beforeEach(() => {
  lab = new Lab();
  random = seeded(1);
});

const throttle = (options?: ClientThrottleOptions): ClientThrottlePolicy =>
  clientThrottle(options, { runtime: { ...lab.runtime, random: () => random() } });
const httpError = (status: number): Error => Object.assign(new Error('http'), { status });

const endings: Record<string, () => unknown> = {
  a: () => 'accepted',
  r: () => {
    throw httpError(503);
  },
  e: () => {
    throw down;
  },
  i: () => {
    throw new DOMException('bye', 'AbortError');
  },
};

/** Plays calls by their endings; in the answer `x` was held back. */
async function play(policy: ClientThrottlePolicy, history: string): Promise<string> {
  let seen = '';
  for (const step of history) {
    const outcome = await settled(policy.execute(endings[step] as () => unknown));
    seen += 'error' in outcome && outcome.error instanceof ThrottledError ? 'x' : step;
  }
  return seen;
}

/** A second of traffic against a dependency that takes so many calls in it, and turns the rest away. */
async function second(policy: ClientThrottlePolicy, asked: number, accepts: number) {
  let sent = 0;
  for (let call = 0; call < asked; call++) {
    // Accepted calls are spread over the second, as a dependency's capacity is.
    const takes = (): boolean => Math.floor((call * accepts) / asked) + 1 > accepted;
    await settled(
      policy.execute(() => {
        sent++;
        if (!takes()) throw httpError(503);
        accepted++;
      }),
    );
    lab.clock.jump(1000 / asked);
  }
  const result = { sent, accepted };
  accepted = 0;
  return result;
}
let accepted = 0;

async function seconds(count: number, policy: ClientThrottlePolicy, asked: number, takes: number) {
  const total = { sent: 0, accepted: 0 };
  for (let each = 0; each < count; each++) {
    const one = await second(policy, asked, takes);
    total.sent += one.sent;
    total.accepted += one.accepted;
  }
  return total;
}

describe('a client throttle', () => {
  it.each([
    ['nothing held back while all is accepted', {}, 'aaaaaaaaaa', 0],
    ['nothing while half is accepted', {}, 'ararararar', 0],
    ['what exceeds twice the accepted', {}, 'aaarrrrrrr', 4 / 11],
    ['more with a smaller multiplier', { multiplier: 1 }, 'aaarrrrrrr', 7 / 11],
    ['no more than the largest share', { maxRejectionRate: 0.5 }, 'rrrrrrrrrr', 0.5],
    ['nothing below the least number of calls', {}, 'rrrrrrrrr', 0],
    ['or what that is set to', { minimumCalls: 2 }, 'rr', 2 / 3],
    ['other failures count as accepted', {}, 'eeerrrrrrr', 4 / 11],
    ['aborts count as nothing', {}, 'iiirrrrrrrrr', 0],
  ])('%s', async (_what, options, history, rate) => {
    random = () => 0.9999;
    const policy = throttle(options);
    expect(await play(policy, history)).toBe(history);
    expect(policy.snapshot().rejectionRate).toBeCloseTo(rate, 12);
  });

  it.each([
    [0.35, 'x'],
    [4 / 11, 'r'],
    [0.37, 'r'],
  ])('decides by chance: %d against 4/11', async (chance, seen) => {
    const policy = throttle();
    random = () => 0.999;
    await play(policy, 'aaarrrrrrr');
    random = () => chance;
    expect(await play(policy, 'r')).toBe(seen);
  });

  it('hands on what an asynchronous function comes to, and counts it', async () => {
    const policy = throttle();
    const work = policy.wrap(async (fails: boolean) => {
      if (fails) throw httpError(503);
      return 'fine';
    });
    expect(await settled(work(false))).toEqual({ value: 'fine' });
    expect(await settled(work(true))).toMatchObject({ error: { status: 503 } });
    expect(policy.snapshot().calls).toMatchObject({ accepted: 1, rejected: 1 });
  });

  it('counts what it holds back as asked for, and not as accepted', async () => {
    const policy = throttle();
    random = () => 0.999;
    await play(policy, 'aaarrrrrrr');
    random = () => 0;
    expect(await play(policy, 'rr')).toBe('xx');
    expect(policy.snapshot()).toMatchObject({
      calls: { accepted: 3, rejected: 7, throttled: 2 },
      requests: 12,
    });
    expect(policy.snapshot().rejectionRate).toBeCloseTo(6 / 13, 12);
  });

  it('leaves nothing to chance while it holds nothing back', async () => {
    let drawn = 0;
    random = () => ++drawn / 100;
    await play(throttle(), 'aaaaaaaaaaaaaaaaaaaa');
    expect(drawn).toBe(0);
  });

  it('gives a fresh rejection that says who held the call back', async () => {
    const policy = throttle({ name: 'stock', minimumCalls: 1 });
    random = () => 0.999;
    await play(policy, 'rrr');
    random = () => 0;
    const error = await lab.errorOf(policy.execute(() => 'no'));
    expect(error).toBeInstanceOf(RejectedError);
    expect(error).toMatchObject({ code: 'THROTTLED', throttleName: 'stock' });
    expect((error as Error).stack).not.toContain('at ');
    expect(await lab.errorOf(policy.execute(() => 'no'))).not.toBe(error);
  });

  it('shows stack traces where it is told to', async () => {
    const policy = throttle({ minimumCalls: 1, captureStack: true });
    random = () => 0.999;
    await play(policy, 'rrr');
    random = () => 0;
    expect(((await lab.errorOf(policy.execute(() => 'no'))) as Error).stack).toContain('at ');
  });

  it('keeps the kind of the result', () => {
    const policy = throttle({ minimumCalls: 1, multiplier: 1 });
    const add = policy.wrap((a: number, b: number) => a + b);
    expect(add(1, 2)).toBe(3);
    const fail = policy.wrap((): number => {
      throw httpError(503);
    });
    random = () => 0.999;
    expect(thrownBy(fail)).toMatchObject({ status: 503 });
    random = () => 0;
    expect(thrownBy(() => add(1, 2))).toBeInstanceOf(ThrottledError);
  });

  it.each([
    [httpError(429), true],
    [httpError(503), true],
    [httpError(504), true],
    [httpError(500), false],
    [httpError(404), false],
    [{ response: { status: 503 } }, true],
    [new TimeoutError(5), true],
    [new DOMException('slow', 'TimeoutError'), true],
    [coded('ECONNREFUSED'), true],
    [coded('ECONNRESET'), false],
    [new Error('behind', { cause: httpError(503) }), true],
    [new ThrottledError('x'), false],
    [down, false],
    [undefined, false],
  ])('%s tells of overload: %s', (error, tells) => {
    expect(isOverloadError(error)).toBe(tells);
  });

  it('counts what rejectedBy names; one that throws is logged and counts as rejected', async () => {
    const policy = throttle({ rejectedBy: ['EFULL', (error) => (error as { bad: boolean }).bad] });
    for (const error of [coded('EFULL'), httpError(503), { bad: true }, null]) {
      await settled(policy.execute(() => Promise.reject(error as Error)));
    }
    expect(policy.snapshot().calls).toEqual({
      accepted: 1,
      rejected: 3,
      throttled: 0,
      ignored: 0,
    });
    expect(lab.logger.errors).toMatchObject([
      {
        message: 'Client throttle "clientThrottle": rejectedBy threw; the call counts as rejected',
      },
    ]);
  });

  it('counts a call when it settles: those under way are not held against the dependency', async () => {
    const policy = throttle();
    for (let call = 0; call < 100; call++) void policy.execute(() => new Promise(() => undefined));
    expect(policy.snapshot()).toMatchObject({ requests: 0, rejectionRate: 0 });
  });

  it('learns nothing from calls that an open circuit inside it turned away', async () => {
    const policy = throttle();
    const breaker = new CircuitBreaker('b', { failureThreshold: 1 }, lab);
    const both = pipeline(policy, breaker);
    for (let call = 0; call < 5; call++) await settled(both.execute(endings.r as () => unknown));
    expect(policy.snapshot()).toMatchObject({
      calls: { rejected: 1, ignored: 4, accepted: 0 },
      requests: 1,
    });
  });

  it('ends retries', async () => {
    const policy = throttle({ minimumCalls: 1 });
    const both = pipeline(retry({ maxAttempts: 5, baseDelay: 1 }, lab), policy);
    random = () => 0.6;
    let calls = 0;
    const error = await lab.errorOf(
      both.execute(() => {
        calls++;
        throw httpError(503);
      }),
    );
    expect(error).toBeInstanceOf(ThrottledError);
    expect(calls).toBe(2);
  });

  it('forgets what has left the window, all of it after an idle time', async () => {
    random = () => 0.9999;
    const policy = throttle({ window: '10s' });
    await play(policy, 'rrrrrrrrrr');
    lab.clock.jump(5000);
    await play(policy, 'aaaaaaaaaa');
    expect(policy.snapshot()).toMatchObject({ requests: 20, accepts: 10 });
    lab.clock.jump(5000);
    expect(policy.snapshot()).toMatchObject({ requests: 10, accepts: 10 });
    lab.clock.jump(1_000_000);
    expect(policy.snapshot()).toMatchObject({ requests: 0, accepts: 0, rejectionRate: 0 });
  });
});

describe('under lasting overload', () => {
  it.each([
    [2, 100, 20],
    [2, 100, 40],
    [1.5, 100, 20],
    [3, 100, 20],
    [1.1, 200, 20],
  ])(
    'multiplier %d: of %d calls a second to a dependency that takes %d, so many times that are made',
    async (multiplier, asked, takes) => {
      const policy = throttle({ multiplier, window: '20s', maxRejectionRate: 1 });
      await seconds(60, policy, asked, takes);
      const { sent, accepted } = await seconds(100, policy, asked, takes);
      expect(sent / accepted).toBeGreaterThan(multiplier * 0.9);
      expect(sent / accepted).toBeLessThan(multiplier * 1.1);
      expect(accepted).toBeGreaterThan(takes * 100 * (multiplier > 1.4 ? 0.9 : 0.5));
    },
  );

  it('still asks a dependency that takes nothing, and lets everything through soon after it does', async () => {
    const policy = throttle({ window: '20s' });
    await seconds(60, policy, 100, 0);
    const { sent } = await seconds(20, policy, 100, 0);
    expect(sent / 2000).toBeCloseTo(0.2, 1);
    expect(policy.snapshot().rejectionRate).toBe(0.8);
    await seconds(40, policy, 100, 100);
    expect(policy.snapshot().rejectionRate).toBe(0);
    expect((await seconds(1, policy, 100, 100)).accepted).toBe(100);
  });

  it('holds back nothing while at least one in K is accepted, whatever the order', async () => {
    const parts = fc.shuffledSubarray(Array.from('aaaaaaaaaarrrrrrrrrr'), { minLength: 20 });
    await fc.assert(
      fc.asyncProperty(parts, async (history) => {
        const policy = throttle({ minimumCalls: 20 });
        random = () => 0;
        expect(await play(policy, history.join(''))).not.toContain('x');
        expect(policy.snapshot().rejectionRate).toBe(0);
      }),
      { numRuns: 50 },
    );
  });

  it('counts like a naive list of calls', async () => {
    const steps = fc.array(
      fc.record({ ending: fc.constantFrom('a', 'r', 'e', 'i'), gap: fc.nat(400) }),
      { maxLength: 200, size: 'max' },
    );
    await fc.assert(
      fc.asyncProperty(steps, async (plan) => {
        lab = new Lab();
        random = () => 0.9999;
        const policy = throttle({ window: 1000 });
        const seen: { bucket: number; accepted: boolean }[] = [];
        for (const { ending, gap } of plan) {
          lab.clock.jump(gap);
          const bucket = Math.floor(lab.clock.now() / 100);
          const made = await play(policy, ending);
          if (made !== 'i') seen.push({ bucket, accepted: made === 'a' || made === 'e' });
          const inWindow = seen.filter((each) => each.bucket > bucket - 10);
          const accepts = inWindow.filter((each) => each.accepted).length;
          expect(policy.snapshot()).toMatchObject({ requests: inWindow.length, accepts });
        }
      }),
      { numRuns: 50 },
    );
  });
});

describe('options of a client throttle', () => {
  it('have their defaults', () => {
    expect(clientThrottle().snapshot()).toEqual({
      id: 'clientThrottle:clientThrottle',
      kind: 'clientThrottle',
      name: 'clientThrottle',
      options: expect.objectContaining({
        multiplier: 2,
        window: 120_000,
        minimumCalls: 10,
        maxRejectionRate: 0.8,
        captureStack: false,
      }),
      calls: { throttled: 0, accepted: 0, rejected: 0, ignored: 0 },
      requests: 0,
      accepts: 0,
      rejectionRate: 0,
    });
  });

  it('are all checked at once', () => {
    const bad = {
      multiplier: 0.5,
      window: 1,
      minimumCalls: 0,
      maxRejectionRate: 2,
      rejectedBy: 5,
      name: '',
      captureStack: 1,
      multiplyer: 2,
    };
    const { issues } = thrownBy(() => clientThrottle(bad as never)) as { issues: string[] };
    expect(issues).toHaveLength(8);
    for (const key of Object.keys(bad)) {
      expect(issues).toContainEqual(
        expect.stringContaining(`clientThrottle(clientThrottle).${key} `),
      );
    }
    expect(issues).toContainEqual(expect.stringContaining('did you mean "multiplier"?'));
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
