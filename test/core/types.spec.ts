import { expectTypeOf } from 'expect-type';
import {
  type BackoffFunction,
  type CallContext,
  CircuitBreaker,
  type CircuitBreakerError,
  type CircuitBreakerOptions,
  type CircuitState,
  type Permit,
  type ResilienceError,
  RetryConfig,
  type RetryExhaustedError,
  type RetryOptions,
  isResilienceError,
  retry,
  retrySync,
  withRetry,
} from 'nestjs-bulwark/core';

/** `tsc` is the test here: a line that must not compile says so, and complains when it does. */
const neverRun = (body: () => void): void => expect(typeof body).toBe('function');
const breaker = new CircuitBreaker('types');

describe('types', () => {
  it('withRetry keeps the signature of an asynchronous function and refuses a synchronous one', () => {
    const load = withRetry()(async (id: string, page?: number) => ({ id, page }));
    expectTypeOf(load).toEqualTypeOf<
      (id: string, page?: number) => Promise<{ id: string; page: number | undefined }>
    >();
    expectTypeOf(
      withRetry({ maxAttempts: 2 })(async function* (to: number) {
        yield to;
      }),
    ).returns.toExtend<AsyncIterable<number>>();
    neverRun(() => {
      // @ts-expect-error it would give a promise for what the type calls a number
      withRetry()(() => 42);
      // @ts-expect-error one of its results is no promise
      withRetry()((): string | Promise<string> => 'x');
    });
  });

  it('withRetry keeps overloads, generics and this', () => {
    interface Service {
      prefix: string;
    }
    const generic = withRetry()(async <T>(value: T): Promise<T[]> => [value]);
    expectTypeOf(generic<'a'>).returns.toEqualTypeOf<Promise<'a'[]>>();
    const method = withRetry()(async function (this: Service, id: number) {
      return this.prefix + String(id);
    });
    expectTypeOf(method).thisParameter.toEqualTypeOf<Service>();
  });

  it('retrySync keeps a synchronous function and refuses an asynchronous one', () => {
    const parse = retrySync()((text: string) => text.length);
    expectTypeOf(parse).toEqualTypeOf<(text: string) => number>();
    neverRun(() => {
      // @ts-expect-error its failures would come after the retries
      retrySync()(async () => 42);
    });
  });

  it('execute gives what the work gives, once awaited', () => {
    expectTypeOf(breaker.execute(() => 1)).toEqualTypeOf<Promise<number>>();
    expectTypeOf(breaker.execute(async () => 'a')).toEqualTypeOf<Promise<string>>();
    expectTypeOf(retry().execute(({ attempt }) => attempt)).toEqualTypeOf<Promise<number>>();
    expectTypeOf(breaker.executeSync(() => true)).toEqualTypeOf<boolean>();
    void breaker.execute((call) => {
      expectTypeOf(call).toEqualTypeOf<CallContext>();
      expectTypeOf(call.signal).toEqualTypeOf<AbortSignal>();
    });
  });

  it('protect and wrap keep the signature', () => {
    const guarded = breaker.protect((a: number, b?: string) => a + (b?.length ?? 0));
    expectTypeOf(guarded).toEqualTypeOf<(a: number, b?: string) => number>();
    expectTypeOf(breaker.tryAcquire()).toEqualTypeOf<Permit | undefined>();
  });

  it('options take undefined and durations, and nothing that they do not know', () => {
    const options: RetryOptions = { maxAttempts: undefined, baseDelay: '5s', maxDelay: 100 };
    expectTypeOf(new RetryConfig(options).baseDelay).toEqualTypeOf<number>();
    const backoff: BackoffFunction = (attempt) => attempt * 2;
    const breakerOptions: CircuitBreakerOptions = {
      failureExceptions: [TypeError, 'ECONNRESET', (error) => error instanceof RangeError],
      isFailure: (response: { status: number }) => response.status > 499,
    };
    expect([
      options.baseDelay,
      backoff(2, undefined),
      breakerOptions.isFailure?.({ status: 500 }),
    ]).toEqual(['5s', 4, true]);
    neverRun(() => {
      // @ts-expect-error a name with a typo
      retry({ maxAttempt: 3 });
      // @ts-expect-error an unknown kind
      retry({ backoff: 'quadratic' });
      // @ts-expect-error an async predicate would match everything
      retry({ retryOn: async () => true });
      // @ts-expect-error this is no duration
      new CircuitBreaker('b', { recoveryTimeout: true });
    });
  });

  it('what is read back is read-only, and durations are numbers', () => {
    expectTypeOf(breaker.state).toEqualTypeOf<CircuitState>();
    expectTypeOf(breaker.remainingTimeout).toEqualTypeOf<number | undefined>();
    expectTypeOf(breaker.stats.lastFailure).toEqualTypeOf<unknown>();
    neverRun(() => {
      // @ts-expect-error it is read-only
      breaker.options.failureThreshold = 1;
      // @ts-expect-error it is read-only
      breaker.stats.totalCalls = 1;
    });
  });

  it('isResilienceError narrows by the code', () => {
    const narrow = (error: unknown): void => {
      if (isResilienceError(error, 'CIRCUIT_OPEN')) {
        expectTypeOf(error).toEqualTypeOf<CircuitBreakerError>();
      } else if (isResilienceError(error, 'RETRY_EXHAUSTED')) {
        expectTypeOf(error).toEqualTypeOf<RetryExhaustedError>();
        expectTypeOf(error.reason).toEqualTypeOf<'attempts' | 'duration' | 'budget' | 'deadline'>();
      } else if (isResilienceError(error)) {
        expectTypeOf(error).toExtend<ResilienceError>();
      }
    };
    expect(() => narrow(new Error())).not.toThrow();
    neverRun(() => {
      // @ts-expect-error there is no such code
      isResilienceError(new Error(), 'CIRCUIT_CLOSED');
    });
  });
});
