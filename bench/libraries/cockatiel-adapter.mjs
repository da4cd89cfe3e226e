import { fail, failTimes, fn } from './work.mjs';

/** The cases in the words of cockatiel, which did not change from 3 to 4. */
export function adapt(cockatiel) {
  const { ConsecutiveBreaker, CountBreaker, ExponentialBackoff, SamplingBreaker } = cockatiel;
  const { TimeoutStrategy, bulkhead, circuitBreaker, fallback, handleAll, retry, timeout, wrap } =
    cockatiel;
  const executing = (policy) => ({ expression: 'policy.execute(fn)', scope: { policy, fn } });
  const breakerWith = (breaker) => circuitBreaker(handleAll, { halfOpenAfter: 3_600_000, breaker });
  const consecutive = () => breakerWith(new ConsecutiveBreaker(5));
  const retrying = () => retry(handleAll, { maxAttempts: 2, backoff: new ExponentialBackoff() });
  const limit = (duration) => timeout(duration, TimeoutStrategy.Aggressive);
  const guarded = () => wrap(retrying(), consecutive(), limit(1_000));

  const cases = {
    breaker: () => executing(consecutive()),
    'window-count': () =>
      executing(
        breakerWith(new CountBreaker({ size: 100, threshold: 0.5, minimumNumberOfCalls: 10 })),
      ),
    'window-time': () =>
      executing(
        breakerWith(new SamplingBreaker({ threshold: 0.5, duration: 10_000, minimumRps: 1 })),
      ),
    retry: () => executing(retrying()),
    'time-limit': () => executing(limit(1_000)),
    bulkhead: () => executing(bulkhead(10)),
    fallback: () => executing(fallback(handleAll, 0)),
    pipeline: () => executing(guarded()),
    common: () =>
      executing(wrap(fallback(handleAll, 0), consecutive(), bulkhead(10), limit(1_000))),
    policy: () =>
      executing(
        wrap(
          fallback(handleAll, 0),
          limit(2_000),
          retrying(),
          consecutive(),
          bulkhead(10),
          limit(1_000),
        ),
      ),
    open: async () => {
      const policy = consecutive();
      await failTimes(5, () => policy.execute(fail));
      return executing(policy);
    },
  };
  const makePipeline = (slow) => {
    const policy = guarded();
    return () => policy.execute(slow);
  };
  const callBreaker = (breaker) => breaker.execute(fn);
  return { cases, makeBreaker: consecutive, callBreaker, makePipeline };
}
