import { jest } from '@jest/globals';
import {
  CircuitBreaker,
  CircuitBreakerError,
  type CircuitBreakerOptions,
  type RecoveryTimeoutFunction,
  ResilienceConfigError,
  retryAfterOf,
} from 'nestjs-bulwark/core';
import { Lab, coded, deferred, down, play, settled, thrownBy } from '../support/lab.js';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});

/** Opens at the first failure and closes at the first success. */
const brisk = (options?: CircuitBreakerOptions): CircuitBreaker =>
  new CircuitBreaker(
    'payments',
    { failureThreshold: 1, successThreshold: 1, recoveryTimeout: '5s', ...options },
    { runtime: lab.runtime },
  );

function fail(breaker: CircuitBreaker, error: unknown = down): void {
  breaker.tryAcquire()?.failure(error);
}
function succeed(breaker: CircuitBreaker): void {
  breaker.tryAcquire()?.success();
}

/** How long it stays open after each of `failures` failed recoveries, the first opening before them. */
function openTimes(breaker: CircuitBreaker, failures: number): (number | undefined)[] {
  const times: (number | undefined)[] = [];
  for (let at = 0; at <= failures; at++) {
    fail(breaker);
    times.push(breaker.remainingTimeout);
    lab.clock.jump(breaker.remainingTimeout ?? NaN);
  }
  return times;
}

describe('R71 recovery back-off', () => {
  it('of 5 s x 1.5 rejects 6 s after a failed probe, and admits 11 s after it', async () => {
    const breaker = brisk({ recoveryBackoff: { factor: 1.5, max: '1m' } });
    expect(await play(breaker, 'fwf', lab)).toBe('ff');
    lab.clock.jump(6000);
    expect(await play(breaker, 's', lab)).toBe('x');
    lab.clock.jump(5000);
    expect(await play(breaker, 's', lab)).toBe('s');
    expect(breaker.state).toBe('closed');
  });

  it.each<[CircuitBreakerOptions, number[]]>([
    [{}, [5000, 5000, 5000, 5000]],
    [{ recoveryBackoff: { factor: 1.5, max: '1m' } }, [5000, 7500, 11_250, 16_875]],
    [{ recoveryBackoff: { factor: 2, max: '12s' } }, [5000, 10_000, 12_000, 12_000]],
    [{ recoveryBackoff: { factor: 10, max: '12s' } }, [5000, 12_000, 12_000]],
    [{ recoveryBackoff: { factor: 1, max: '12s' } }, [5000, 5000, 5000]],
    // a cap below the time itself does not shorten it
    [{ recoveryBackoff: { factor: 2, max: '1s' } }, [5000, 5000]],
    [{ recoveryBackoff: { factor: 2, max: '1m' }, recoveryTimeout: 0 }, [0, 0, 0]],
  ])('with %j opens for %j', (options, times) => {
    expect(openTimes(brisk(options), times.length - 1)).toEqual(times);
  });

  it.each([0, 1, 5000])('stays at its cap over thousands of failures of %d ms', (time) => {
    const backoff = { factor: 3, max: '1m' };
    const times = openTimes(brisk({ recoveryTimeout: time, recoveryBackoff: backoff }), 2000);
    expect(times.at(-1)).toBe(time === 0 ? 0 : 60_000);
  });

  it('begins anew once it has closed', () => {
    const breaker = brisk({ recoveryBackoff: { factor: 2, max: '1h' } });
    expect(openTimes(breaker, 3)).toEqual([5000, 10_000, 20_000, 40_000]);
    succeed(breaker);
    expect(breaker.state).toBe('closed');
    expect(openTimes(breaker, 1)).toEqual([5000, 10_000]);
  });

  it.each<[string, (breaker: CircuitBreaker) => void]>([
    ['a reset', (breaker) => breaker.reset()],
    ['an isolation', (breaker) => breaker.isolate().release()],
    ['being disabled', (breaker) => breaker.disable().release()],
  ])('begins anew after %s', (_what, close) => {
    const breaker = brisk({ recoveryBackoff: { factor: 2, max: '1h' } });
    openTimes(breaker, 3);
    close(breaker);
    expect(openTimes(breaker, 1)).toEqual([5000, 10_000]);
  });

  it('does not grow by a probe that hangs or tells nothing', () => {
    const breaker = brisk({ recoveryBackoff: { factor: 2, max: '1h' } });
    openTimes(breaker, 0);
    breaker.tryAcquire()?.release();
    breaker.tryAcquire();
    lab.clock.jump(60_000);
    fail(breaker);
    expect(breaker.remainingTimeout).toBe(10_000);
  });

  it.each<[string, unknown, string]>([
    ['nothing', null, 'recoveryBackoff must be an object'],
    ['a number', 2, 'recoveryBackoff must be an object'],
    ['no factor', { max: 1 }, 'recoveryBackoff.factor must be a number of at least 1'],
    ['no max', { factor: 2 }, 'recoveryBackoff.max must be a duration'],
    ['a factor below 1', { factor: 0.9, max: 1 }, 'recoveryBackoff.factor must be'],
    ['an endless factor', { factor: Infinity, max: 1 }, 'recoveryBackoff.factor must be'],
    ['a max of 0', { factor: 2, max: 0 }, 'recoveryBackoff.max must be'],
    ['a misspelt one', { factr: 2, max: 1 }, 'recoveryBackoff.factr is not a known option'],
    ['the nearest name', { factr: 2, max: 1 }, 'did you mean "factor"'],
  ])('refuses %s', (_what, recoveryBackoff, problem) => {
    const error = thrownBy(() => brisk({ recoveryBackoff: recoveryBackoff as never }));
    expect(error).toBeInstanceOf(ResilienceConfigError);
    expect((error as Error).message).toContain(problem);
    expect((error as Error).message).toContain('circuitBreaker(payments).recoveryBackoff');
  });
});

describe('R71 recovery jitter', () => {
  it.each([
    [0, 0.999, 5000],
    [0.5, 0, 5000],
    [0.5, 0.5, 6250],
    [1, 0.999_999, 9999.995],
  ])('of %d makes, with chance at %d, 5 s %d', (recoveryJitter, random, time) => {
    lab.random = random;
    const breaker = brisk({ recoveryJitter });
    fail(breaker);
    expect(breaker.remainingTimeout).toBeCloseTo(time, 6);
  });

  it('draws anew for each opening, upwards only, above the back-off too', () => {
    const breaker = brisk({ recoveryJitter: 0.2, recoveryBackoff: { factor: 2, max: '10s' } });
    let drawn = 0;
    for (const base of [5000, 10_000, 10_000, 10_000]) {
      lab.random = drawn = (drawn + 0.3) % 1;
      fail(breaker);
      expect(breaker.remainingTimeout).toBeCloseTo(base * (1 + 0.2 * drawn), 6);
      lab.clock.jump(breaker.remainingTimeout ?? NaN);
    }
  });

  it('keeps a fleet from probing in one instant', () => {
    const random = seeded(7);
    const fleet = Array.from({ length: 200 }, () => {
      const breaker = new CircuitBreaker(
        'fleet',
        { failureThreshold: 1, recoveryJitter: 0.5 },
        { runtime: { ...lab.runtime, random } },
      );
      fail(breaker);
      return breaker.remainingTimeout ?? NaN;
    });
    expect(Math.min(...fleet)).toBeGreaterThanOrEqual(30_000);
    expect(Math.max(...fleet)).toBeLessThan(45_000);
    const spread = new Set(fleet.map((time) => Math.floor(time / 1500)));
    expect(spread.size).toBe(10);
  });

  it.each([-0.1, 1.1, NaN, 'full'])('refuses %p', (recoveryJitter) => {
    const error = thrownBy(() => brisk({ recoveryJitter: recoveryJitter as number }));
    expect((error as Error).message).toContain('circuitBreaker(payments).recoveryJitter must');
  });
});

/** A small generator of its own, so that a run can be repeated (Park and Miller, 1988). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
}

describe('R71 recoveryTimeout as a function of the failure', () => {
  const openFor = (
    recoveryTimeout: RecoveryTimeoutFunction,
    error: unknown = down,
  ): number | undefined => {
    const breaker = brisk({ recoveryTimeout });
    fail(breaker, error);
    expect(breaker.state).toBe('open');
    return breaker.remainingTimeout;
  };
  const answering = (answer: unknown): RecoveryTimeoutFunction => (() => answer) as never;

  it('is asked for the failure that opens the circuit, and not for those that come late', async () => {
    const recoveryTimeout = jest.fn(() => 1000);
    const breaker = brisk({ recoveryTimeout });
    const calls = [deferred(), deferred()];
    const outcomes = calls.map(({ promise }) => settled(breaker.execute(() => promise)));
    for (const call of calls) call.reject(down);
    await Promise.all(outcomes);
    expect(recoveryTimeout.mock.calls).toEqual([[down]]);
  });

  it('takes the Retry-After of the dependency', async () => {
    const unavailable = Object.assign(coded('503'), { headers: { 'retry-after': '17' } });
    expect(openFor((error) => retryAfterOf(error), unavailable)).toBe(17_000);
    expect(openFor((error) => retryAfterOf(error), down)).toBe(30_000);
    expect(openFor((error) => retryAfterOf(error) ?? '2s', down)).toBe(2000);
  });

  it.each<[unknown, number]>([
    [1234, 1234],
    ['250ms', 250],
    [0, 0],
    [undefined, 30_000],
    [null, 30_000],
    [NaN, 30_000],
    [Infinity, 30_000],
    [-1, 30_000],
    ['soon', 30_000],
    [{}, 30_000],
    [Promise.resolve(5), 30_000],
    [1e15, 2_147_483_647], // no longer than any other duration may be
  ])('answering %p opens it for %d ms', (answer, time) => {
    expect(openFor(answering(answer))).toBe(time);
  });

  it('R19 that throws is contained, logged with the name, and the caller sees its own error', async () => {
    const boom = new Error('boom');
    const breaker = brisk({
      recoveryTimeout: () => {
        throw boom;
      },
    });
    expect(await lab.errorOf(breaker.execute(() => Promise.reject(down)))).toBe(down);
    expect(breaker.remainingTimeout).toBe(30_000);
    expect(lab.logger.errors).toEqual([
      { message: expect.stringContaining('"payments"') as unknown, cause: boom },
    ]);
  });

  it('R19 that rejects leaves no unhandled rejection', async () => {
    const rejecting = answering(Promise.reject(new Error('later')));
    expect(openFor(rejecting)).toBe(30_000);
    await new Promise((resolve) => setImmediate(resolve));
  });

  it('is asked at each opening, of the failure that opened it', () => {
    const asked: unknown[] = [];
    const breaker = brisk({
      recoveryTimeout: (error) => {
        asked.push(error);
        return 100;
      },
    });
    const second = new Error('second');
    fail(breaker);
    expect(breaker.tryAcquire()).toBeUndefined();
    lab.clock.jump(100);
    fail(breaker, second);
    expect(asked).toEqual([down, second]);
  });

  it('grows by the back-off, above what each failure asks for', () => {
    const breaker = brisk({
      recoveryTimeout: (error) => retryAfterOf(error),
      recoveryBackoff: { factor: 2, max: '25s' },
    });
    const asking = (retryAfter: number): object => ({ retryAfter });
    const times = [10_000, 10_000, 1000, 90_000].map((retryAfter) => {
      fail(breaker, asking(retryAfter));
      const time = breaker.remainingTimeout ?? NaN;
      lab.clock.jump(time);
      return time;
    });
    expect(times).toEqual([10_000, 20_000, 4000, 90_000]);
  });

  it('gives probes the default time', () => {
    expect(brisk({ recoveryTimeout: () => 5 }).options.probeTimeout).toBe(30_000);
    expect(brisk({ recoveryTimeout: () => 5, probeTimeout: 7 }).options.probeTimeout).toBe(7);
  });

  it.each([null, {}, true, 'soon', -1])('refuses %p', (recoveryTimeout) => {
    const error = thrownBy(() => brisk({ recoveryTimeout: recoveryTimeout as never }));
    expect((error as Error).message).toContain('circuitBreaker(payments).recoveryTimeout must be');
    expect((error as Error).message).toContain('or be a function');
  });
});

describe('a ramp after closing', () => {
  const rampUp = { duration: '10s', from: 0.2 };

  /** Closed again a moment ago. */
  const recovered = (options?: CircuitBreakerOptions): CircuitBreaker => {
    const breaker = brisk({ rampUp, ...options });
    while (breaker.state === 'closed') fail(breaker);
    lab.clock.jump(5000);
    succeed(breaker);
    expect(breaker.state).toBe('closed');
    return breaker;
  };
  const admits = (breaker: CircuitBreaker): boolean => {
    const permit = breaker.tryAcquire();
    permit?.success();
    return permit !== undefined;
  };

  it.each([
    [0, 0.199, true],
    [0, 0.2, false],
    [5000, 0.599, true],
    [5000, 0.601, false],
    [9999, 0.9999, true],
    [9999, 0.99999, false],
    [10_000, 0.99999, true],
  ])('%d ms later, with chance at %d, admits: %p', (later, random, admitted) => {
    const breaker = recovered();
    lab.clock.jump(later);
    lab.random = random;
    expect(admits(breaker)).toBe(admitted);
  });

  it('admits a rising share, and every call once it is over', () => {
    const random = seeded(11);
    const breaker = recovered();
    const shares = Array.from({ length: 12 }, () => {
      let admitted = 0;
      for (let call = 0; call < 1000; call++) {
        lab.random = random();
        if (admits(breaker)) admitted++;
        lab.clock.jump(1);
      }
      return admitted / 1000;
    });
    const expected = shares.map((_, at) => Math.min(1, 0.2 + 0.08 * (at + 0.5)));
    shares.forEach((share, at) => {
      expect(Math.abs(share - (expected[at] ?? NaN))).toBeLessThan(0.05);
    });
    expect(shares.slice(10)).toEqual([1, 1]);
    const { totalCalls, successfulCalls, rejectedCalls, failedCalls } = breaker.stats;
    expect(totalCalls).toBe(successfulCalls + rejectedCalls + failedCalls);
  });

  it('leaves nothing to chance any more once it is over', () => {
    const breaker = recovered();
    lab.clock.jump(10_000);
    let drawn = 0;
    Object.defineProperty(lab, 'random', { get: () => ++drawn / 100 });
    for (let call = 0; call < 5; call++) expect(admits(breaker)).toBe(true);
    expect(drawn).toBe(0);
  });

  it('turns calls away as closed, with no time to come back at', async () => {
    const breaker = recovered();
    lab.random = 0.99;
    const error = thrownBy(() => breaker.executeSync(() => 1));
    expect(error).toBeInstanceOf(CircuitBreakerError);
    expect(error).toMatchObject({
      state: 'closed',
      breakerName: 'payments',
      retryAfter: undefined,
    });
    expect(breaker.stats.rejectedCalls).toBe(1);
  });

  it('opens on failures, as at any time, and begins anew after the next recovery', () => {
    const breaker = recovered();
    lab.clock.jump(5000);
    lab.random = 0;
    fail(breaker);
    expect(breaker.state).toBe('open');
    lab.clock.jump(5000);
    succeed(breaker);
    lab.random = 0.3;
    expect(admits(breaker)).toBe(false);
    lab.clock.jump(5000);
    expect(admits(breaker)).toBe(true);
  });

  it('does not follow a start or a reset, which send full traffic', () => {
    lab.random = 0.99;
    const fresh = brisk({ rampUp });
    expect(admits(fresh)).toBe(true);
    fail(fresh);
    fresh.reset();
    expect(admits(fresh)).toBe(true);
    fresh.isolate().release();
    expect(admits(fresh)).toBe(true);
  });

  it('starts at a tenth by default', () => {
    const breaker = recovered({ rampUp: { duration: 1000 } });
    expect(breaker.options.rampUp).toEqual({ duration: 1000, from: 0.1 });
    lab.random = 0.1;
    expect(admits(breaker)).toBe(false);
    lab.random = 0.0999;
    expect(admits(breaker)).toBe(true);
  });

  it('lets a window with slow calls decide all the while', () => {
    const breaker = recovered({
      window: {
        type: 'count',
        size: 2,
        minimumCalls: 2,
        failureRate: 0.5,
        slowCallRate: 1,
        slowCallDuration: 50,
      },
    });
    lab.random = 0;
    for (let call = 0; call < 2; call++) {
      const permit = breaker.tryAcquire();
      lab.clock.jump(100);
      permit?.success();
    }
    expect(breaker.snapshot().lastOpening?.rule).toBe('slow_call_rate');
  });

  it.each<[string, unknown, string]>([
    ['a duration alone', '10s', 'rampUp must be an object'],
    ['no duration', { from: 0.5 }, 'rampUp.duration must be a duration'],
    ['a duration of 0', { duration: 0 }, 'rampUp.duration must be'],
    ['from 0', { duration: 1, from: 0 }, 'rampUp.from must be a number above 0'],
    ['from 2', { duration: 1, from: 2 }, 'rampUp.from must be'],
    ['another option', { duration: 1, to: 1 }, 'rampUp.to is not a known option'],
  ])('refuses %s', (_what, given, problem) => {
    const error = thrownBy(() => brisk({ rampUp: given as never }));
    expect(error).toBeInstanceOf(ResilienceConfigError);
    expect((error as Error).message).toContain(`circuitBreaker(payments).${problem}`);
  });
});
