import { jest } from '@jest/globals';
import {
  CircuitBreaker,
  CircuitBreakerError,
  CircuitState,
  RetryConfig,
  RetryExhaustedError,
  retry,
  retrySync,
  withRetry,
} from 'nestjs-bulwark/core';
import * as core from 'nestjs-bulwark/core';
import { Lab, deferred, down, play, settled, thrownBy } from '../support/lab.js';

/** The names, defaults and behaviours of the resilience guide that this library carries over. */
const camelCase = (name: string): string =>
  name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase());

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});

async function delaysOf(options: core.RetryOptions): Promise<number[]> {
  const delays: number[] = [];
  const onRetry = (_attempt: number, _error: unknown, delay: number): void => {
    delays.push(delay);
  };
  const policy = retry({ ...options, onRetry }, { runtime: lab.runtime });
  await lab.outcomeOf(policy.execute(() => Promise.reject(down)));
  return delays;
}

async function attemptsOf(options: core.RetryOptions, error: unknown = down): Promise<number> {
  const work = jest.fn(() => Promise.reject(error as Error));
  await lab.outcomeOf(retry(options, { runtime: lab.runtime }).execute(work));
  return work.mock.calls.length;
}

const breakerWith = (options?: core.CircuitBreakerOptions): CircuitBreaker =>
  new CircuitBreaker('payments', options, { runtime: lab.runtime });

async function stateAfter(history: string, options?: core.CircuitBreakerOptions): Promise<string> {
  const breaker = breakerWith(options);
  await play(breaker, history, lab);
  return breaker.state;
}

class ConnectionError extends Error {}

interface Documented {
  seed: string;
  name: string;
  value: unknown;
  behaves(): Promise<void>;
}

describe('every documented retry option', () => {
  const options: Documented[] = [
    {
      seed: 'max_attempts',
      name: 'maxAttempts',
      value: 3,
      async behaves() {
        expect(await attemptsOf({})).toBe(3);
        expect(await attemptsOf({ maxAttempts: 5 })).toBe(5);
        expect(await attemptsOf({ maxAttempts: 1 })).toBe(1);
      },
    },
    {
      seed: 'base_delay',
      name: 'baseDelay',
      value: 100,
      async behaves() {
        expect(await delaysOf({})).toEqual([100, 200]);
        expect(await delaysOf({ baseDelay: '0.5s' })).toEqual([500, 1000]);
      },
    },
    {
      seed: 'max_delay',
      name: 'maxDelay',
      value: 60_000,
      async behaves() {
        const steep = { maxAttempts: 4, baseDelay: '40s', jitter: 0 };
        expect(await delaysOf(steep)).toEqual([40_000, 60_000, 60_000]);
        expect(await delaysOf({ ...steep, maxDelay: '50s' })).toEqual([40_000, 50_000, 50_000]);
      },
    },
    {
      seed: 'exponential_base',
      name: 'exponentialBase',
      value: 2,
      async behaves() {
        expect(await delaysOf({ maxAttempts: 4 })).toEqual([100, 200, 400]);
        expect(await delaysOf({ maxAttempts: 4, exponentialBase: 3 })).toEqual([100, 300, 900]);
      },
    },
    {
      seed: 'jitter',
      name: 'jitter',
      value: 0.1,
      async behaves() {
        lab.random = 0;
        expect(await delaysOf({})).toEqual([90, 180]);
        lab.random = 1;
        expect((await delaysOf({})).map(Math.round)).toEqual([110, 220]);
        expect(await delaysOf({ jitter: 0 })).toEqual([100, 200]);
      },
    },
    {
      seed: 'retry_on',
      name: 'retryOn',
      value: undefined,
      async behaves() {
        expect(await attemptsOf({}, new TypeError('any'))).toBe(3);
        expect(await attemptsOf({ retryOn: [ConnectionError] }, new ConnectionError())).toBe(3);
        expect(await attemptsOf({ retryOn: [ConnectionError] }, new TypeError('other'))).toBe(1);
      },
    },
    {
      seed: 'on_retry',
      name: 'onRetry',
      value: undefined,
      async behaves() {
        const onRetry = jest.fn();
        await attemptsOf({ onRetry });
        expect(onRetry.mock.calls).toEqual([
          [1, down, 100],
          [2, down, 200],
        ]);
      },
    },
  ];

  it.each(options)('$seed is $name, by default $value', async ({ seed, name, value, behaves }) => {
    expect(camelCase(seed)).toBe(name);
    expect(new RetryConfig()).toHaveProperty(name, value);
    await behaves();
  });
});

describe('every documented circuit breaker option', () => {
  const options: Documented[] = [
    {
      seed: 'failure_threshold',
      name: 'failureThreshold',
      value: 5,
      async behaves() {
        expect(await stateAfter('ffff')).toBe('closed');
        expect(await stateAfter('fffff')).toBe('open');
        expect(await stateAfter('ff', { failureThreshold: 2 })).toBe('open');
      },
    },
    {
      seed: 'recovery_timeout',
      name: 'recoveryTimeout',
      value: 30_000,
      async behaves() {
        const breaker = breakerWith();
        await play(breaker, 'fffff', lab);
        lab.clock.jump(29_999);
        expect(await play(breaker, 's', lab)).toBe('x');
        lab.clock.jump(1);
        expect(await play(breaker, 's', lab)).toBe('s');
      },
    },
    {
      seed: 'half_open_max_calls',
      name: 'halfOpenMaxCalls',
      value: 3,
      async behaves() {
        expect(await play(breakerWith(), 'fffffwhhhhs', lab)).toBe('fffffhhhxx');
        const one = breakerWith({ halfOpenMaxCalls: 1 });
        expect(await play(one, 'fffffwhhs', lab)).toBe('fffffhxx');
      },
    },
    {
      seed: 'success_threshold',
      name: 'successThreshold',
      value: 2,
      async behaves() {
        expect(await stateAfter('fffffws')).toBe('half_open');
        expect(await stateAfter('fffffwss')).toBe('closed');
        expect(await stateAfter('fffffws', { successThreshold: 1 })).toBe('closed');
      },
    },
    {
      seed: 'failure_exceptions',
      name: 'failureExceptions',
      value: undefined,
      async behaves() {
        expect(await stateAfter('fffff')).toBe('open');
        expect(await stateAfter('fffff', { failureExceptions: [ConnectionError] })).toBe('closed');
      },
    },
  ];

  it.each(options)('$seed is $name, by default $value', async ({ seed, name, value, behaves }) => {
    expect(camelCase(seed)).toBe(name);
    expect(breakerWith().options).toHaveProperty(name, value);
    await behaves();
  });

  it('name is name, by default "default"', async () => {
    expect(new CircuitBreaker().name).toBe('default');
    const breaker = breakerWith({ failureThreshold: 1 });
    await play(breaker, 'f', lab);
    await expect(breaker.execute(() => 1)).rejects.toHaveProperty('breakerName', 'payments');
  });
});

describe('every documented export and field', () => {
  it.each([
    ['with_retry', 'withRetry'],
    ['retry_sync', 'retrySync'],
    ['RetryConfig', 'RetryConfig'],
    ['RetryExhaustedError', 'RetryExhaustedError'],
    ['CircuitBreaker', 'CircuitBreaker'],
    ['CircuitBreakerError', 'CircuitBreakerError'],
    ['CircuitState', 'CircuitState'],
  ])('%s is exported as %s', (seed, name) => {
    expect(camelCase(seed)).toBe(name);
    expect(core).toHaveProperty(name);
  });

  it('with_retry decorates an asynchronous function', async () => {
    const work = jest.fn(async (id: string) => Promise.reject<string>(new Error(id)));
    const fetchUser = withRetry({ maxAttempts: 3 }, { runtime: lab.runtime })(work);
    await lab.outcomeOf(fetchUser('u1'));
    expect(work.mock.calls).toEqual([['u1'], ['u1'], ['u1']]);
  });

  it('retry_sync decorates a synchronous function and blocks between its attempts', () => {
    const startedAt: number[] = [];
    const fetchConfig = retrySync(
      { maxAttempts: 3, baseDelay: '0.5s' },
      { runtime: lab.runtime },
    )(() => {
      startedAt.push(lab.clock.now());
      if (startedAt.length < 3) throw down;
      return 'config';
    });
    expect(fetchConfig()).toBe('config');
    expect(startedAt).toEqual([0, 500, 1500]);
  });

  it('RetryConfig is reused for several functions', async () => {
    const api = new RetryConfig({ maxAttempts: 2, baseDelay: 200, retryOn: [ConnectionError] });
    expect(await attemptsOf(api, new ConnectionError())).toBe(2);
    expect(await attemptsOf({ maxAttempts: api.maxAttempts, retryOn: api.retryOn })).toBe(1);
  });

  it('RetryExhaustedError has attempts and last_exception', async () => {
    const policy = retry({}, { runtime: lab.runtime });
    const error = await lab.errorOf(policy.execute(() => Promise.reject(down)));
    expect(error).toBeInstanceOf(RetryExhaustedError);
    expect(error).toMatchObject({ attempts: 3, lastException: down });
  });

  it('CircuitState has the three documented states, readable on the breaker', async () => {
    expect(await stateAfter('')).toBe(CircuitState.CLOSED);
    expect(await stateAfter('fffff')).toBe(CircuitState.OPEN);
    expect(await stateAfter('fffffws')).toBe(CircuitState.HALF_OPEN);
  });

  it('CircuitBreakerError has name, state and remaining_timeout', async () => {
    const breaker = breakerWith();
    await play(breaker, 'fffff', lab);
    lab.clock.jump(12_000);
    const error = thrownBy(() => breaker.executeSync(() => 1));
    expect(error).toBeInstanceOf(CircuitBreakerError);
    expect(error).toMatchObject({
      breakerName: 'payments',
      state: CircuitState.OPEN,
      remainingTimeout: 18_000,
    });
  });

  it('CircuitBreakerStats has the five documented counts', async () => {
    const breaker = breakerWith();
    await play(breaker, 'ssfffffs', lab);
    expect(breaker.stats).toMatchObject({
      totalCalls: 8,
      successfulCalls: 2,
      failedCalls: 5,
      rejectedCalls: 1,
      stateChanges: 1,
    });
  });

  it('protect decorates a function', async () => {
    const breaker = breakerWith({ failureThreshold: 1 });
    const callExternal = breaker.protect(async (error?: Error) => {
      if (error) throw error;
      return 'data';
    });
    await expect(callExternal()).resolves.toBe('data');
    await expect(callExternal(down)).rejects.toBe(down);
    await expect(callExternal()).rejects.toBeInstanceOf(CircuitBreakerError);
  });

  it('reset forces it closed and clears the counters', async () => {
    expect(await stateAfter('fffffr')).toBe('closed');
    expect(await stateAfter('ffffrffff')).toBe('closed');
  });

  it('the documented combination: retry outside, breaker inside, an open circuit is not retried', async () => {
    const breaker = breakerWith({ failureThreshold: 3 });
    const work = jest.fn(() => Promise.reject(new ConnectionError()));
    const fetchWithRetry = withRetry(
      { maxAttempts: 10, retryOn: [ConnectionError] },
      { runtime: lab.runtime },
    )(() => breaker.execute(work));
    const error = await lab.errorOf(fetchWithRetry());
    expect(error).toBeInstanceOf(CircuitBreakerError);
    expect(work).toHaveBeenCalledTimes(3);
  });

  it('half-open lets a limited number of calls test the service', async () => {
    const breaker = breakerWith({ failureThreshold: 1 });
    await play(breaker, 'fw', lab);
    const probes = [1, 2, 3].map(() => deferred());
    const running = probes.map((probe) => settled(breaker.execute(() => probe.promise)));
    await expect(breaker.execute(() => 1)).rejects.toMatchObject({ state: 'half_open' });
    probes.forEach((probe) => probe.resolve('well'));
    await Promise.all(running);
    expect(breaker.state).toBe('closed');
  });
});
