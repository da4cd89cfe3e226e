/**
 * An inner refusal may open the breaker around it, whose listeners may call the same pipeline: that call is refused for a
 * reason of its own, and the first keeps the one it had.
 */
import {
  BulkheadRejectedError,
  CircuitBreaker,
  CircuitBreakerError,
  bulkhead,
  pipeline,
  rateLimit,
} from 'nestjs-bulwark/core';
import { Lab } from '../support/lab.js';

const lab = new Lab();

it.each([
  ['two gates', false],
  ['three gates', true],
])('of %s', async (_which, third) => {
  const fromWithin: Promise<unknown>[] = [];
  const breaker = new CircuitBreaker(
    'outer',
    {
      failureThreshold: 1,
      failureExceptions: BulkheadRejectedError,
      onStateChange: () => fromWithin.push(lab.outcomeOf(policy.execute(() => 'never'))),
    },
    lab,
  );
  const between = third ? [rateLimit({ limit: 10, interval: '1s' }, lab)] : [];
  const policy = pipeline(breaker, ...between, bulkhead({ maxConcurrent: 1 }, lab));
  void policy.execute(() => new Promise(() => undefined));
  await expect(policy.execute(() => 'never')).rejects.toBeInstanceOf(BulkheadRejectedError);
  expect(await Promise.all(fromWithin)).toEqual([{ error: expect.any(CircuitBreakerError) }]);
});
