import {
  CircuitBreaker,
  type Policy,
  type PolicySetting,
  bulkhead,
  fallback,
  hedge,
  pipeline,
  rateLimit,
  retry,
  timeLimit,
} from 'nestjs-bulwark';

/** Each kind of policy, and all of them as one; none takes effect within 50 ms. */
export const everyPolicy: [string, (setting: PolicySetting) => Policy][] = [
  ['a time limit', (setting) => timeLimit(100, setting)],
  ['a bulkhead', (setting) => bulkhead({ maxConcurrent: 1 }, setting)],
  ['a bulkhead with a queue', (setting) => bulkhead({ maxConcurrent: 1, maxQueue: 5 }, setting)],
  ['a rate limit', (setting) => rateLimit({ limit: 9, interval: 1000 }, setting)],
  [
    'a rate limit that waits',
    (setting) => rateLimit({ limit: 9, interval: 1000, maxWait: 9 }, setting),
  ],
  ['a fallback', (setting) => fallback(() => 'instead', { on: 'NEVER' }, setting)],
  ['a hedge', (setting) => hedge({ delay: 50 }, setting)],
  ['a retry', (setting) => retry({}, setting)],
  ['a circuit breaker', (setting) => new CircuitBreaker('b', {}, setting)],
  [
    'all of them',
    (setting) =>
      pipeline(
        fallback(() => 'instead', { on: 'NEVER' }, setting),
        timeLimit(100, setting),
        retry({}, setting),
        hedge({ delay: 50 }, setting),
        new CircuitBreaker('b', {}, setting),
        rateLimit({ limit: 9, interval: 1000, maxWait: 9 }, setting),
        bulkhead({ maxConcurrent: 1, maxQueue: 1 }, setting),
      ),
  ],
];
