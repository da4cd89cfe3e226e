import type { Duration } from '../core/duration.js';
import type { TimeLimitOptions, TimeLimitPolicy } from '../core/time-limit.js';
import type { AsyncMethodDecorator, NoTimeLimitOfSynchronousMethods } from './decorator-types.js';
import { policyDecorator } from './policy-decorator.js';

/**
 * Releases the caller with a TimeoutError after `limit` and aborts `currentSignal()` inside the method.
 * Above `@Retry` it limits all attempts and waits together; below it, each attempt.
 *
 * @param limit at least 1 ms, options, or a policy made by hand
 * @example
 * @TimeLimit('2s')
 * fetchUser(id: string): Promise<User> { ... }
 * @throws TimeoutError (the method) at the limit
 */
export function TimeLimit(
  limit: Duration | TimeLimitOptions | TimeLimitPolicy,
): AsyncMethodDecorator<NoTimeLimitOfSynchronousMethods> {
  return policyDecorator('TimeLimit', {
    part: 'timeLimit',
    given: limit,
  }) as AsyncMethodDecorator<NoTimeLimitOfSynchronousMethods>;
}
