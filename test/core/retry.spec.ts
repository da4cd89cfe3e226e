import { getEventListeners } from 'node:events';
import { jest } from '@jest/globals';
import {
  AbortError,
  BulkheadRejectedError,
  CircuitBreaker,
  CircuitBreakerError,
  Lifetime,
  RateLimitedError,
  RejectedError,
  ResilienceError,
  RetryBudget,
  RetryExhaustedError,
  type RetryOptions,
  type RetryPolicy,
  type RetrySnapshot,
  TimeoutError,
  currentSignal,
  isTransientError,
  pipeline,
  retry,
  timeLimit,
  withRetry,
} from 'nestjs-bulwark/core';
import { Lab, coded, deferred, down, settled } from '../support/lab.js';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});

const retrying = (options?: RetryOptions): RetryPolicy => retry(options, { runtime: lab.runtime });

/** Work that follows a script, one letter an attempt (the last for all later): `f` fails, else succeeds. */
function scripted(script: string, ...errors: unknown[]): jest.Mock<() => Promise<string>> {
  const error = errors.length === 0 ? down : errors[0];
  let at = 0;
  return jest.fn(async () => {
    const step = script[Math.min(at++, script.length - 1)] as string;
    if (step === 'f') throw error as Error;
    return step;
  });
}

const exhausted = (cause: unknown = down): RetryExhaustedError =>
  new RetryExhaustedError({ attempts: 3, lastException: cause });
const open = (): CircuitBreakerError => new CircuitBreakerError('payments');
const abort = (): Error => new DOMException('given up', 'AbortError');

describe('a retry', () => {
  it.each([
    ['s', 1, 0],
    ['fs', 2, 100],
    ['ffs', 3, 300],
  ])('with the script "%s" succeeds after %d attempts and %d ms', async (script, made, waited) => {
    const work = scripted(script);
    expect(await lab.outcomeOf(retrying().execute(work))).toEqual({ value: 's' });
    expect(work).toHaveBeenCalledTimes(made);
    expect(lab.clock.now()).toBe(waited);
  });

  it('treats a synchronous throw and a synchronous value as it does a promise', async () => {
    let attempts = 0;
    const work = (): string => {
      if (++attempts < 3) throw down;
      return 'fine';
    };
    expect(await lab.outcomeOf(retrying().execute(work))).toEqual({ value: 'fine' });
    expect(await lab.outcomeOf(retrying().execute(() => 'plain'))).toEqual({ value: 'plain' });
  });

  it('awaits a foreign thenable, once for each attempt', async () => {
    let attempts = 0;
    const work = (): PromiseLike<string> => ({
      then: (resolve, reject) =>
        Promise.resolve()
          .then(() => (++attempts < 2 ? Promise.reject(down) : 'then'))
          .then(resolve, reject),
    });
    expect(await lab.outcomeOf(retrying().execute(work))).toEqual({ value: 'then' });
    expect(attempts).toBe(2);
  });

  it('tells the work its attempt (R20)', async () => {
    const seen: number[] = [];
    const work = ({ attempt }: { attempt: number }): Promise<never> => {
      seen.push(attempt);
      return Promise.reject(down);
    };
    await lab.outcomeOf(retrying({ maxAttempts: 4 }).execute(work));
    expect(seen).toEqual([1, 2, 3, 4]);
  });

  it('runs nothing a second time while a first attempt is still under way', async () => {
    const first = deferred();
    const work = jest.fn(() => first.promise);
    const running = retrying().execute(work);
    await lab.clock.advance(1_000_000);
    expect(work).toHaveBeenCalledTimes(1);
    first.resolve('late');
    expect(await running).toBe('late');
  });
});

describe('R2 what is not retryable', () => {
  it.each<[string, RetryOptions, unknown]>([
    ['an error that retryOn does not list', { retryOn: [TypeError] }, new RangeError('other')],
    ['an error that abortOn lists', { abortOn: [RangeError] }, new RangeError('bad')],
    ['an error that both list', { retryOn: [Error], abortOn: [RangeError] }, new RangeError('bad')],
    ['an error whose code is not listed', { retryOn: 'ECONNRESET' }, coded('EPIPE')],
    ['a plain object', { retryOn: [Error] }, { code: 'ECONNRESET' }],
    ['nothing at all', { retryOn: [Error] }, undefined],
    ['what a predicate refuses', { retryOn: () => false }, down],
    ['anything, with an empty list', { retryOn: [] }, down],
    ['an open circuit', {}, open()],
    ['a full bulkhead', {}, new BulkheadRejectedError('db')],
    ['a rate limit', {}, new RateLimitedError('api', { retryAfter: 5 })],
    ['an exhausted retry', {}, exhausted()],
    ['an abort', {}, abort()],
  ])('%s is rethrown as it is, without a wait', async (_what, options, error) => {
    const work = scripted('f', error);
    const policy = retrying({ ...options, onRetry: () => expect('a retry').toBe('none') });
    const outcome = await lab.outcomeOf(policy.execute(work));
    expect(outcome).toHaveProperty('error');
    expect((outcome as { error: unknown }).error).toBe(error);
    expect(work).toHaveBeenCalledTimes(1);
    expect(lab.clock.now()).toBe(0);
  });

  it.each<[string, RetryOptions, unknown]>([
    ['any error, by default', {}, down],
    ['what is no error, by default', {}, 'a string'],
    ['nothing at all, by default', {}, undefined],
    ['our TimeoutError, by default', {}, new TimeoutError(100)],
    ['a listed class', { retryOn: [RangeError, TypeError] }, new TypeError('x')],
    ['a subclass', { retryOn: Error }, new TypeError('x')],
    ['a listed code', { retryOn: ['EPIPE', 'ECONNRESET'] }, coded('ECONNRESET')],
    ['a code of what is no Error', { retryOn: 'ECONNRESET' }, { code: 'ECONNRESET' }],
    ['what a predicate accepts', { retryOn: [RangeError, (e) => e === down] }, down],
    ['an own error by its class', { retryOn: CircuitBreakerError }, open()],
    ['an own error by its code', { retryOn: 'CIRCUIT_OPEN' }, open()],
    ['an own error by its base class', { retryOn: [RejectedError] }, open()],
    ['an own error by the base of all', { retryOn: [ResilienceError] }, exhausted()],
    ['an exhausted retry by its class', { retryOn: RetryExhaustedError }, exhausted()],
    ['an exhausted retry by its code', { retryOn: 'RETRY_EXHAUSTED' }, exhausted()],
    ['an own error by a predicate', { retryOn: () => true }, open()],
    ['an abort by its code', { retryOn: 'ABORT_ERR' }, new AbortError()],
    ['an abort by its class', { retryOn: AbortError }, new AbortError()],
    ['a transient error', { retryOn: isTransientError }, coded('ECONNRESET')],
  ])('%s is retried', async (_what, options, error) => {
    const work = scripted('fs', error);
    expect(await lab.outcomeOf(retrying(options).execute(work))).toEqual({ value: 's' });
    expect(work).toHaveBeenCalledTimes(2);
  });

  it.each<[string, unknown]>([
    ['an open circuit', open()],
    ['an exhausted retry', exhausted()],
    ['an abort', abort()],
  ])('naming Error alone names nothing in particular: %s is not retried', async (_what, error) => {
    const work = scripted('f', error);
    expect(await lab.errorOf(retrying({ retryOn: [Error] }).execute(work))).toBe(error);
    expect(work).toHaveBeenCalledTimes(1);
  });

  it('abortOn wins also where it lists Error and retryOn an own error', async () => {
    const error = exhausted();
    const policy = retrying({ retryOn: RetryExhaustedError, abortOn: Error });
    expect(await lab.errorOf(policy.execute(scripted('f', error)))).toBe(error);
  });
});

describe('R3 when the attempts run out', () => {
  it.each([1, 2, 3, 7])('with maxAttempts %d', async (maxAttempts) => {
    let made = 0;
    const work = (): Promise<never> => Promise.reject(new Error(String(++made)));
    const error = await lab.errorOf(retrying({ maxAttempts }).execute(work));
    expect(error).toBeInstanceOf(RetryExhaustedError);
    expect(error).toMatchObject({ attempts: maxAttempts, reason: 'attempts' });
    const { cause, lastException } = error as RetryExhaustedError;
    expect(cause).toBe(lastException);
    expect(lastException).toMatchObject({ message: String(maxAttempts) });
  });

  it('a fresh error is made for every call', async () => {
    const policy = retrying({ maxAttempts: 1 });
    const errors = [await lab.errorOf(policy.execute(scripted('f')))];
    errors.push(await lab.errorOf(policy.execute(scripted('f'))));
    expect(errors[0]).not.toBe(errors[1]);
  });

  it.each([
    ['accepted at last', [1, 2, 30], 30, 3],
    ['never accepted: the last is returned', [1, 2, 3, 40], 3, 3],
    ['accepted at once', [10], 10, 1],
  ])('retryOnResult: %s', async (_what, values, expected, made) => {
    const work = jest.fn(async () => values[work.mock.calls.length - 1] as number);
    const policy = retrying({ retryOnResult: (value: number) => value < 10 });
    expect(await lab.outcomeOf(policy.execute(work))).toEqual({ value: expected });
    expect(work).toHaveBeenCalledTimes(made);
  });

  it('retryOnResult decides on values alone, whatever errors retryOn lists', async () => {
    const policy = retrying({ retryOn: TypeError, retryOnResult: (value) => value === 'p' });
    expect(await lab.outcomeOf(policy.execute(scripted('ps')))).toEqual({ value: 's' });
  });

  it.each([
    [1, [1], 1],
    [2, [1, 2], 2],
    [9, [1, 2, 30], 30],
  ])(
    'retryOnResult around a time limit: of %d attempts %j are made',
    async (maxAttempts, values, expected) => {
      const work = jest.fn(() => values[work.mock.calls.length - 1]);
      const policy = retrying({ maxAttempts, retryOnResult: (value: number) => value < 10 });
      const both = pipeline(policy, timeLimit(50, { runtime: lab.runtime }));
      expect(await lab.outcomeOf(both.execute(work))).toEqual({ value: expected });
      expect(work).toHaveBeenCalledTimes(values.length);
    },
  );

  it('values and errors may alternate; what came last decides', async () => {
    const policy = retrying({ retryOnResult: (value) => value === 'poor' });
    const last = (steps: string[]): Promise<string> =>
      policy.execute(async () => {
        const step = steps.shift() as string;
        if (step === 'f') throw down;
        return step;
      });
    expect(await lab.outcomeOf(last(['poor', 'f', 'good']))).toEqual({ value: 'good' });
    expect(await lab.outcomeOf(last(['f', 'f', 'poor']))).toEqual({ value: 'poor' });
    expect(await lab.errorOf(last(['poor', 'poor', 'f']))).toMatchObject({
      attempts: 3,
      cause: down,
    });
  });
});

describe('R4 nested retries do not multiply', () => {
  const nested = async (
    outer: RetryOptions,
    inner: RetryOptions,
    error: unknown,
  ): Promise<number> => {
    const work = scripted('f', error);
    const innermost = retrying(inner);
    await lab.outcomeOf(retrying(outer).execute(() => innermost.execute(work)));
    return work.mock.calls.length;
  };

  it.each<[string, RetryOptions, RetryOptions, number]>([
    ['by default', {}, {}, 3],
    ['when the outer lists Error', { retryOn: [Error] }, {}, 3],
    [
      'when both retry what is transient',
      { retryOn: isTransientError },
      { retryOn: isTransientError },
      3,
    ],
    ['unless the outer names it', { retryOn: RetryExhaustedError }, {}, 9],
    ['unless the outer names its code', { retryOn: 'RETRY_EXHAUSTED' }, {}, 9],
    ['unless a predicate takes it', { retryOn: (error) => isTransientError(error) }, {}, 9],
  ])('%s', async (_what, outer, inner, calls) => {
    expect(await nested(outer, inner, coded('ECONNRESET'))).toBe(calls);
  });

  it('linked into one pipeline as well', async () => {
    const work = scripted('f');
    await lab.outcomeOf(pipeline(retrying(), retrying({ maxAttempts: 2 })).execute(work));
    expect(work).toHaveBeenCalledTimes(2);
  });

  it('the outer one still retries what the inner one let through', async () => {
    const inner = retrying({ retryOn: TypeError });
    const work = scripted('ffs');
    expect(await lab.outcomeOf(retrying().execute(() => inner.execute(work)))).toEqual({
      value: 's',
    });
  });

  it('each numbers its own attempts', async () => {
    const seen: string[] = [];
    const inner = retrying({ maxAttempts: 2 });
    const outer = retrying({ maxAttempts: 2, retryOn: RetryExhaustedError });
    const work = outer.execute(({ attempt: a }) =>
      inner.execute(({ attempt: b }) => {
        seen.push(`${String(a)}.${String(b)}`);
        return Promise.reject(down);
      }),
    );
    await lab.outcomeOf(work);
    expect(seen).toEqual(['1.1', '1.2', '2.1', '2.2']);
  });
});

describe('R5 an abort', () => {
  const reason = new Error('the client has gone');

  it('during the wait ends it at once with the reason; nothing is left behind', async () => {
    const controller = new AbortController();
    const work = scripted('f');
    const outcome = settled(retrying().execute(work, { signal: controller.signal }));
    await lab.clock.advance(50);
    expect(lab.clock.pendingTimers).toBe(1);
    controller.abort(reason);
    expect(await outcome).toEqual({ error: reason });
    expect(lab.clock.now()).toBe(50);
    expect(lab.clock.pendingTimers).toBe(0);
    expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
    await lab.clock.runAll();
    expect(work).toHaveBeenCalledTimes(1);
  });

  it('before the call: the work is never called', async () => {
    const work = scripted('s');
    const running = retrying().execute(work, { signal: AbortSignal.abort(reason) });
    await expect(running).rejects.toBe(reason);
    expect(work).not.toHaveBeenCalled();
  });

  it('during an attempt releases the caller at once, and nothing is tried again', async () => {
    const controller = new AbortController();
    const attempt = deferred();
    const work = jest.fn(() => attempt.promise);
    const onRetry = jest.fn();
    const policy = retrying({ onRetry });
    const outcome = settled(policy.execute(work, { signal: controller.signal }));
    controller.abort(reason);
    expect(await outcome).toEqual({ error: reason });
    attempt.reject(down); // an error of its own, not the reason
    await lab.clock.runAll();
    expect(work).toHaveBeenCalledTimes(1);
    expect(onRetry).not.toHaveBeenCalled();
    expect(policy.snapshot().calls).toMatchObject({ aborted: 1, attempts: 0, not_retryable: 0 });
  });

  it('of the very turn in which the wait ends prevents the next attempt', async () => {
    const controller = new AbortController();
    const work = scripted('f');
    const { clock } = lab;
    const abortRightAfter = {
      now: () => clock.now(),
      wallTime: () => clock.wallTime(),
      sleepSync: () => undefined,
      clearTimeout: (timer: object) => clock.clearTimeout(timer),
      setTimeout: (callback: () => void, delay: number) =>
        clock.setTimeout(() => {
          callback();
          controller.abort(reason);
        }, delay),
    };
    const policy = retry({}, { runtime: { ...lab.runtime, clock: abortRightAfter } });
    const outcome = settled(policy.execute(work, { signal: controller.signal }));
    await clock.runAll();
    expect(await outcome).toEqual({ error: reason });
    expect(work).toHaveBeenCalledTimes(1);
    expect(policy.snapshot().calls.aborted).toBe(1);
  });

  it('of the enclosing call ends the wait of a wrapped function', async () => {
    const controller = new AbortController();
    const work = scripted('f');
    const fetchData = withRetry({}, { runtime: lab.runtime })(work);
    const enclosing = new CircuitBreaker('outer');
    const inner: Promise<unknown>[] = [];
    const outcome = settled(
      enclosing.execute(() => (inner[0] = fetchData()), { signal: controller.signal }),
    );
    await lab.clock.advance(10);
    controller.abort(reason);
    expect(await outcome).toEqual({ error: reason });
    await expect(inner[0]).rejects.toBe(reason);
    await lab.clock.runAll();
    expect(work).toHaveBeenCalledTimes(1);
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('after the end changes nothing', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    expect(await retrying().execute(scripted('s'), { signal })).toBe('s');
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    controller.abort(reason);
  });

  it('reaches the work through its signal', async () => {
    const controller = new AbortController();
    const running = settled(
      retrying().execute(
        ({ signal }) =>
          new Promise((_, reject) => {
            signal.addEventListener('abort', () => reject(signal.reason as Error));
          }),
        { signal: controller.signal },
      ),
    );
    controller.abort(reason);
    expect(await running).toEqual({ error: reason });
  });

  it('takes every listener and timer away however the call ends', async () => {
    const { signal } = new AbortController();
    const lifetime = new Lifetime();
    const endings = jest.spyOn(lifetime, 'onEnd');
    for (const script of ['s', 'fs', 'f', 'ffs']) {
      const policy = retry({}, { runtime: { ...lab.runtime, lifetime } });
      await lab.outcomeOf(policy.execute(scripted(script), { signal }));
    }
    expect(endings).toHaveBeenCalledTimes(5);
    expect(getEventListeners(signal, 'abort')).toEqual([]);
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('waits for nobody after the application has ended (R33)', async () => {
    const lifetime = new Lifetime();
    const work = scripted('f');
    const policy = retry({}, { runtime: { ...lab.runtime, lifetime } });
    const outcome = settled(policy.execute(work));
    await lab.clock.advance(10);
    lifetime.end();
    expect(await outcome).toMatchObject({ error: { name: 'AbortError', code: 'ABORT_ERR' } });
    expect(lab.clock.pendingTimers).toBe(0);
    // Ended already: the first wait is the last.
    expect(await lab.errorOf(policy.execute(work))).toMatchObject({ name: 'AbortError' });
    expect(work).toHaveBeenCalledTimes(2);
    expect(lab.clock.pendingTimers).toBe(0);
  });
});

describe('R6 callbacks that throw', () => {
  const boom = new Error('callback');
  const throws = (): never => {
    throw boom;
  };

  it('onRetry is contained and logged; the retry goes on', async () => {
    const policy = retrying({ onRetry: throws });
    expect(await lab.outcomeOf(policy.execute(scripted('fs')))).toEqual({ value: 's' });
    expect(lab.logger.errors).toMatchObject([
      { message: expect.stringContaining('onRetry'), cause: boom },
    ]);
  });

  it('an asynchronous onRetry that rejects is contained and logged', async () => {
    const policy = retrying({ onRetry: () => Promise.reject(boom) as unknown as undefined });
    expect(await lab.outcomeOf(policy.execute(scripted('fs')))).toEqual({ value: 's' });
    expect(lab.logger.errors).toMatchObject([
      { message: expect.stringContaining('onRetry'), cause: boom },
    ]);
  });

  it.each<[string, RetryOptions]>([
    ['retryOn', { retryOn: throws }],
    ['abortOn', { abortOn: throws }],
    ['one of several', { retryOn: [TypeError, throws] }],
    [
      'a class with a hostile instanceof',
      {
        retryOn: class Hostile {
          readonly kind = 'hostile';
          static [Symbol.hasInstance](): boolean {
            throw boom;
          }
        },
      },
    ],
  ])('%s means "not retryable": the original error surfaces', async (_what, options) => {
    const policy = retrying(options);
    expect(await lab.errorOf(policy.execute(scripted('f')))).toBe(down);
    expect(lab.logger.errors).toMatchObject([
      { message: 'Retry "retry": an error filter threw; not retried', cause: boom },
    ]);
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('retryOnResult means "not retryable": the value is returned', async () => {
    const policy = retrying({ retryOnResult: throws });
    expect(await lab.outcomeOf(policy.execute(() => 'value'))).toEqual({ value: 'value' });
    expect(lab.logger.errors).toMatchObject([
      { message: 'Retry "retry": retryOnResult threw; not retried', cause: boom },
    ]);
  });

  it('an error with hostile getters is retried like any other', async () => {
    const hostile = new Proxy(
      {},
      {
        get: throws,
        has: throws,
        getPrototypeOf: throws,
      },
    );
    const work = scripted('ffs', hostile);
    expect(await lab.outcomeOf(retrying().execute(work))).toEqual({ value: 's' });
    const named = retrying({ retryOn: 'ECONNRESET' });
    const outcome = await lab.outcomeOf(named.execute(scripted('f', hostile)));
    expect((outcome as { error: unknown }).error === hostile).toBe(true);
  });
});

describe('onRetry', () => {
  it('is told the failed attempt, its error and the wait, before the wait', async () => {
    const seen: unknown[] = [];
    const onRetry = (...told: unknown[]): void => {
      seen.push([...told, lab.clock.now()]);
    };
    await lab.outcomeOf(retrying({ onRetry, maxAttempts: 4, jitter: 0 }).execute(scripted('f')));
    expect(seen).toEqual([
      [1, down, 100, 0],
      [2, down, 200, 100],
      [3, down, 400, 300],
    ]);
  });

  it('hears of no error after an unwanted value, and of nothing after the last attempt', async () => {
    const onRetry = jest.fn();
    const policy = retrying({ onRetry, retryOnResult: () => true, maxAttempts: 2 });
    await lab.outcomeOf(policy.execute(() => 1));
    expect(onRetry.mock.calls).toEqual([[1, undefined, 100]]);
  });
});

describe('maxDuration', () => {
  it.each([
    [99, 1, 0],
    [100, 2, 100],
    [299, 2, 100],
    [300, 3, 300],
    [10_000, 5, 1500],
  ])('of %d ms allows %d attempts within %d ms', async (maxDuration, attempts, until) => {
    const policy = retrying({ maxDuration, maxAttempts: 5, jitter: 0 });
    const error = await lab.errorOf(policy.execute(scripted('f')));
    const reason = attempts === 5 ? 'attempts' : 'duration';
    expect(error).toMatchObject({ attempts, reason, lastException: down });
    expect(lab.clock.now()).toBe(until);
  });

  it('counts the time of the attempts themselves, from the start of the first', async () => {
    lab.clock.jump(5000);
    const work = jest.fn(async () => {
      lab.clock.jump(150);
      throw down;
    });
    const policy = retrying({ maxDuration: '400ms', jitter: 0, maxAttempts: 10 });
    const error = await lab.errorOf(policy.execute(work));
    expect(error).toMatchObject({ attempts: 2, reason: 'duration' });
  });

  it('of nothing still makes the first attempt', async () => {
    expect(await retrying({ maxDuration: 0 }).execute(() => 'once')).toBe('once');
  });
});

describe('a budget', () => {
  it('that is empty lets the original error surface as the cause', async () => {
    const budget = new RetryBudget({ ratio: 0, minPerSecond: 0.2 }, { runtime: lab.runtime });
    const policy = retrying({ budget, maxAttempts: 10, maxDelay: 1 });
    const error = await lab.errorOf(policy.execute(scripted('f')));
    expect(error).toMatchObject({
      attempts: 3,
      reason: 'budget',
      lastException: down,
      cause: down,
    });
    expect(policy.snapshot().calls).toMatchObject({ budget: 1, attempts: 0 });
  });

  it('is shared and paid into by every call', async () => {
    const budget = new RetryBudget({ ratio: 0.5, minPerSecond: 0 }, { runtime: lab.runtime });
    const [a, b] = [retrying({ budget, maxDelay: 1 }), retrying({ budget, maxDelay: 1 })];
    for (let call = 0; call < 3; call++) await a.execute(scripted('s'));
    const work = scripted('f');
    expect(await lab.errorOf(b.execute(work))).toMatchObject({ attempts: 3, reason: 'attempts' });
    expect(await lab.errorOf(a.execute(work))).toMatchObject({ attempts: 1, reason: 'budget' });
  });

  it('is not spent on a wait that will not be', async () => {
    const budget = new RetryBudget({ ratio: 0, minPerSecond: 1 }, { runtime: lab.runtime });
    const before = budget.balance;
    for (const options of [{ maxDuration: 1 }, { maxAttempts: 1 }, { retryOn: [TypeError] }]) {
      await lab.errorOf(retrying({ ...options, budget }).execute(scripted('f')));
    }
    expect(budget.balance).toBe(before);
  });
});

describe('withRetry', () => {
  it('keeps this, arguments, name, length and what else a function carries', async () => {
    class Service {
      constructor(private readonly prefix: string) {}
      async fetchUser(id: string, region: string): Promise<string> {
        return this.prefix + id + region;
      }
    }
    const original = Object.assign(Service.prototype.fetchUser, { tag: 'kept' });
    const wrapped = withRetry({}, { runtime: lab.runtime })(original);
    expect([wrapped.name, wrapped.length, wrapped.tag]).toEqual(['fetchUser', 2, 'kept']);
    expect(await wrapped.call(new Service('user-') as never, '7', 'eu')).toBe('user-7eu');
  });

  it('takes options once: what they become later changes nothing', async () => {
    const options = { maxAttempts: 2 };
    const work = scripted('f');
    const wrapped = withRetry(options, { runtime: lab.runtime })(work);
    options.maxAttempts = 9;
    await lab.errorOf(wrapped());
    expect(work).toHaveBeenCalledTimes(2);
  });

  it('gives a function of unknown kind a promise', async () => {
    const wrapped = retrying().wrap((n: number) => n + 1);
    expect(await (wrapped(1) as unknown)).toBe(2);
    expect(wrapped(2)).toBeInstanceOf(Promise);
  });
});

describe('R82 counters', () => {
  const every = [
    'first_try',
    'recovered',
    'not_retryable',
    'attempts',
    'duration',
    'budget',
    'deadline',
    'aborted',
  ];

  it.each<
    [
      RetrySnapshot['calls'] extends Record<infer K, number> ? K : never,
      RetryOptions,
      string,
      unknown,
    ]
  >([
    ['first_try', {}, 's', down],
    ['recovered', {}, 'fs', down],
    ['recovered', { retryOnResult: (v) => v === 'p' }, 'ps', down],
    ['not_retryable', { retryOn: [] }, 'f', down],
    ['not_retryable', {}, 'f', open()],
    ['attempts', {}, 'f', down],
    ['attempts', { retryOnResult: () => true }, 's', down],
    ['duration', { maxDuration: 10 }, 'f', down],
    ['budget', { budget: new RetryBudget({ ratio: 0, minPerSecond: 0 }) }, 'f', down],
    ['aborted', {}, 'f', abort()],
  ])('%s counts %j with the script "%s"', async (outcome, options, script, error) => {
    const policy = retrying(options);
    await lab.outcomeOf(policy.execute(scripted(script, error)));
    const none = Object.fromEntries(every.map((name) => [name, 0]));
    expect(policy.snapshot().calls).toEqual({ ...none, [outcome]: 1 });
  });

  it('counts attempts and the milliseconds waited, an aborted wait by its part', async () => {
    const policy = retrying({ jitter: 0 });
    await lab.outcomeOf(policy.execute(scripted('ffs')));
    expect(policy.snapshot()).toMatchObject({ attempts: 3, waited: 300 });
    const controller = new AbortController();
    const outcome = settled(policy.execute(scripted('f'), { signal: controller.signal }));
    await lab.clock.advance(40);
    controller.abort();
    await outcome;
    expect(policy.snapshot()).toMatchObject({ attempts: 4, waited: 340, calls: { aborted: 1 } });
  });

  it('every call ends up in exactly one of them', async () => {
    const policy = retrying({ maxAttempts: 2, retryOn: [Error] });
    const scripts = ['s', 'fs', 'f', 's', 'ff'];
    for (const script of scripts) await lab.outcomeOf(policy.execute(scripted(script)));
    await lab.outcomeOf(policy.execute(scripted('f', 'no error')));
    const { calls } = policy.snapshot();
    expect(Object.values(calls).reduce((sum, n) => sum + n)).toBe(scripts.length + 1);
  });
});

describe('R81 a retry shows itself', () => {
  it('by a stable id and a plain snapshot in milliseconds', () => {
    const policy = retry({ baseDelay: '1s' }, { name: 'OrdersService.charge#0' });
    expect(policy.id).toBe('retry:OrdersService.charge#0');
    expect(policy.snapshot()).toMatchObject({
      id: 'retry:OrdersService.charge#0',
      kind: 'retry',
      name: 'OrdersService.charge#0',
      options: { maxAttempts: 3, baseDelay: 1000 },
      attempts: 0,
      waited: 0,
    });
    expect(policy.describe()).toEqual([
      { kind: 'retry', name: 'OrdersService.charge#0', options: policy.options },
    ]);
  });

  it('by its name where an option breaks its rule', () => {
    expect(() => retry({ maxAttempts: 0 }, { name: 'api' })).toThrow('retry(api).maxAttempts');
  });

  it('in snapshots that stay as they were', async () => {
    const policy = retrying();
    const before = policy.snapshot();
    await policy.execute(() => 1);
    expect(before.calls.first_try).toBe(0);
    expect(Object.isFrozen(policy.options)).toBe(true);
  });
});

describe('retry, breaker and signal together', () => {
  it('each try passes the breaker; the open circuit ends the retries at once (R40)', async () => {
    const breaker = new CircuitBreaker('b', { failureThreshold: 2 }, { runtime: lab.runtime });
    const work = scripted('f');
    const error = await lab.errorOf(pipeline(retrying({ maxAttempts: 9 }), breaker).execute(work));
    expect(error).toBeInstanceOf(CircuitBreakerError);
    expect(work).toHaveBeenCalledTimes(2);
  });

  it('the signal that the work sees is aborted in every attempt', async () => {
    const controller = new AbortController();
    const signals: (AbortSignal | undefined)[] = [];
    const outcome = settled(
      retrying().execute(
        () => {
          signals.push(currentSignal());
          return Promise.reject(down);
        },
        { signal: controller.signal },
      ),
    );
    await lab.clock.advance(100);
    controller.abort(down);
    await outcome;
    expect(signals.map((signal) => signal?.aborted)).toEqual([true, true]);
  });
});
