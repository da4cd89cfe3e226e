import { jest } from '@jest/globals';
import { CircuitBreaker, defaultRuntime, retry, systemClock } from 'nestjs-bulwark/core';
import { parseDate, runtimeWith, tell } from '../../lib/core/runtime.js';
import { readRetryOptions } from '../../lib/core/retry/retry-config.js';
import { Issues } from '../../lib/core/validation.js';
import { RetryConfig } from 'nestjs-bulwark/core';
import { LogRecorder, down, settled } from '../support/lab.js';

const throws = (): never => {
  throw down;
};

describe('the default runtime', () => {
  afterEach(() => {
    jest.restoreAllMocks();
    jest.useRealTimers();
  });

  it('is a monotonic clock, the wall clock and real chance', () => {
    const [before, wall] = [systemClock.now(), Date.now()];
    systemClock.sleepSync(5);
    expect(systemClock.now() - before).toBeGreaterThanOrEqual(4.9);
    expect(systemClock.wallTime() - wall).toBeLessThan(10_000);
    const drawn = Array.from({ length: 50 }, () => defaultRuntime.random());
    expect(drawn.every((number) => number >= 0 && number < 1)).toBe(true);
    expect(new Set(drawn).size).toBeGreaterThan(1);
  });

  it("looks its globals up when it is asked, so that Jest's timers reach it", async () => {
    jest.useFakeTimers();
    let attempts = 0;
    const outcome = settled(
      retry({ baseDelay: '1h', maxDelay: '1h' }).execute(() => {
        if (++attempts < 2) throw down;
        return attempts;
      }),
    );
    await jest.advanceTimersByTimeAsync(3_600_000);
    expect(await outcome).toEqual({ value: 2 });
    expect(jest.getTimerCount()).toBe(0);
  });

  it('takes a timer back', () => {
    jest.useFakeTimers();
    const fired = jest.fn();
    systemClock.clearTimeout(systemClock.setTimeout(fired, 10));
    jest.advanceTimersByTime(20);
    expect(fired).not.toHaveBeenCalled();
  });

  it('logs to the console', async () => {
    const error = jest.spyOn(console, 'error').mockImplementation(() => undefined);
    const warn = jest.spyOn(console, 'warn').mockImplementation(() => undefined);
    const breaker = new CircuitBreaker('b', { failureThreshold: 1, onStateChange: throws });
    await settled(breaker.execute(throws));
    defaultRuntime.logger.warn('careful');
    defaultRuntime.logger.error('without a cause');
    expect(error.mock.calls).toEqual([
      [expect.stringMatching(/^\[Resilience\] Circuit breaker "b"/), down],
      ['[Resilience] without a cause', ''],
    ]);
    expect(warn.mock.calls).toEqual([['[Resilience] careful']]);
  });
});

describe('R80 a runtime of one’s own', () => {
  it('replaces what it names and leaves the rest', () => {
    const random = (): number => 0.25;
    expect(runtimeWith()).toBe(defaultRuntime);
    const runtime = runtimeWith({ random });
    expect(runtime).toMatchObject({ random, clock: systemClock, logger: defaultRuntime.logger });
    expect(runtimeWith({}, runtime).random).toBe(random);
    expect(Object.isFrozen(runtime)).toBe(true);
  });

  it('hears everything that is logged, and may fail at it', () => {
    const logger = Object.assign(new LogRecorder(), { debug: jest.fn() });
    const { logger: own } = runtimeWith({ logger });
    own.error('bad', down);
    own.warn('careful');
    own.debug?.('details');
    expect(logger.errors).toEqual([{ message: 'bad', cause: down }]);
    expect(logger.warnings).toEqual(['careful']);
    expect(logger.debug.mock.calls).toEqual([['details']]);
    const broken = runtimeWith({ logger: { error: throws, warn: throws } }).logger;
    expect(() => {
      broken.error('bad');
      broken.warn('careful');
      broken.debug?.('nobody listens');
    }).not.toThrow();
  });
});

describe('tell', () => {
  it.each<[string, () => unknown, unknown[]]>([
    ['nothing', () => undefined, []],
    ['a value', () => 5, []],
    ['null', () => null, []],
    ['a promise', () => Promise.resolve(), []],
    ['a throw', throws, [down]],
    ['a rejection', () => Promise.reject(down), [down]],
    [
      'a thenable that fails',
      () => ({ then: (_: unknown, failed: (e: Error) => void) => failed(down) }),
      [down],
    ],
    ['a hostile answer', () => Object.defineProperty({}, 'then', { get: throws }), [down]],
  ])('reports of %s what is to be reported', async (_what, listen, reports) => {
    const reported: unknown[] = [];
    tell(listen, (thrown) => reported.push(thrown));
    for (let turn = 0; turn < 9; turn++) await Promise.resolve();
    expect(reported).toEqual(reports);
  });
});

describe('small readers', () => {
  it('a written date', () => {
    expect(parseDate('Wed, 21 Oct 2015 07:28:00 GMT')).toBe(1_445_412_480_000);
    expect(parseDate('soon')).toBeNaN();
  });

  it('a RetryConfig is taken as it is wherever retry options are', () => {
    const issues = new Issues();
    const config = new RetryConfig({ maxAttempts: 7 });
    expect(readRetryOptions(config, 'retry(api)', issues)).toBe(config);
    expect(issues.list).toEqual([]);
  });
});
