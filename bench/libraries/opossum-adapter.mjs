import { fail, failTimes, fn } from './work.mjs';

/** The cases in the words of opossum: its breaker has a rolling window, and no retry. */
export function adapt(CircuitBreaker) {
  const firing = (options, work = fn) => ({
    expression: 'breaker.fire()',
    scope: { breaker: new CircuitBreaker(work, options) },
  });
  const withFallback = (options) => {
    const set = firing(options);
    set.scope.breaker.fallback(() => 0);
    return set;
  };
  const cases = {
    breaker: () => firing({ timeout: false }),
    'window-time': () => firing({ timeout: false }),
    'time-limit': () => firing({ timeout: 1_000 }),
    bulkhead: () => firing({ timeout: false, capacity: 10 }),
    fallback: () => withFallback({ timeout: false }),
    pipeline: () => firing({ timeout: 1_000 }),
    common: () => withFallback({ timeout: 1_000, capacity: 10 }),
    policy: () => withFallback({ timeout: 1_000, capacity: 10 }),
    open: async () => {
      const set = firing({ timeout: false, resetTimeout: 3_600_000 }, fail);
      await failTimes(5, () => set.scope.breaker.fire());
      return set;
    },
  };
  const makePipeline = (slow) => {
    const breaker = new CircuitBreaker(slow, { timeout: 60_000 });
    return () => breaker.fire();
  };
  const callBreaker = (breaker) => breaker.fire();
  return { cases, makeBreaker: () => new CircuitBreaker(fn), callBreaker, makePipeline };
}
