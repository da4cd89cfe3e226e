/** A process may freeze `Error` (`node --frozen-intrinsics`): a rejection must be itself all the same. */
import {
  BulkheadRejectedError,
  CircuitBreaker,
  CircuitBreakerError,
  RateLimitedError,
  TimeoutError,
  bulkhead,
  rateLimit,
  timeLimit,
} from 'nestjs-bulwark/core';
import { Lab, down, settled } from '../support/lab.js';

const hang = (): Promise<never> => new Promise(() => undefined);
let lab: Lab;
let given: PropertyDescriptor;

beforeEach(() => {
  lab = new Lab();
  given = Object.getOwnPropertyDescriptor(Error, 'stackTraceLimit') as PropertyDescriptor;
  Object.defineProperty(Error, 'stackTraceLimit', { ...given, writable: false });
});
afterEach(() => void Object.defineProperty(Error, 'stackTraceLimit', given));

describe('where the limit of stack traces cannot be changed', () => {
  it('an open circuit says so', async () => {
    const breaker = new CircuitBreaker('b', { failureThreshold: 1 }, { runtime: lab.runtime });
    await settled(breaker.execute(() => Promise.reject(down)));
    expect(await lab.errorOf(breaker.execute(() => 1))).toBeInstanceOf(CircuitBreakerError);
  });

  it('a full bulkhead says so', async () => {
    const full = bulkhead({ maxConcurrent: 1 }, { runtime: lab.runtime });
    void full.execute(hang);
    expect(await lab.errorOf(full.execute(hang))).toBeInstanceOf(BulkheadRejectedError);
  });

  it('a spent rate limit says so', async () => {
    const spent = rateLimit({ limit: 1, interval: '1s' }, { runtime: lab.runtime });
    await spent.execute(() => 1);
    expect(await lab.errorOf(spent.execute(() => 1))).toBeInstanceOf(RateLimitedError);
  });

  it('callers are answered at the limit, each of them', async () => {
    const limit = timeLimit(100, { runtime: lab.runtime });
    const calls = [settled(limit.execute(hang)), settled(limit.execute(hang))];
    await lab.clock.advance(100);
    expect(await Promise.all(calls)).toEqual([
      { error: new TimeoutError(100) },
      { error: new TimeoutError(100) },
    ]);
  });
});
