import {
  BreakerState,
  Bulkhead,
  Circuit,
  Fallback,
  Retry,
  SlidingCountBreaker,
  SlidingTimeBreaker,
  Timeout,
} from 'mollitia';
import { fn } from './work.mjs';

const circuitWith = (modules, work = fn) => new Circuit({ func: work, options: { modules } });
const executing = (...modules) => ({
  expression: 'circuit.execute()',
  scope: { circuit: circuitWith(modules) },
});
const counting = (options) =>
  new SlidingCountBreaker({ slidingWindowSize: 100, minimumNumberOfCalls: 10, ...options });
const retrying = () => new Retry({ attempts: 2, interval: 100 });
const limit = (delay) => new Timeout({ delay });

export const cases = {
  breaker: () => executing(counting()),
  'window-count': () => executing(counting()),
  'window-time': () =>
    executing(new SlidingTimeBreaker({ slidingWindowSize: 10_000, minimumNumberOfCalls: 10 })),
  retry: () => executing(retrying()),
  'time-limit': () => executing(limit(1_000)),
  bulkhead: () => executing(new Bulkhead({ concurrentSize: 10, queueSize: 0 })),
  fallback: () => executing(new Fallback({ callback: () => 0 })),
  pipeline: () => executing(retrying(), counting(), limit(1_000)),
  common: () =>
    executing(
      new Fallback({ callback: () => 0 }),
      counting(),
      new Bulkhead({ concurrentSize: 10, queueSize: 0 }),
      limit(1_000),
    ),
  policy: () =>
    executing(
      new Fallback({ callback: () => 0 }),
      limit(2_000),
      retrying(),
      counting(),
      new Bulkhead({ concurrentSize: 10, queueSize: 0 }),
      limit(1_000),
    ),
  open: () => executing(counting({ state: BreakerState.OPENED, openStateDelay: 3_600_000 })),
};

export const makeBreaker = () => circuitWith([counting()]);
export const callBreaker = (circuit) => circuit.execute();
export const makePipeline = (slow) => {
  const circuit = circuitWith([retrying(), counting(), limit(60_000)], slow);
  return () => circuit.execute();
};
