import type { RetryOptions } from '../core/retry/options.js';
import type { RetryPolicy } from '../core/retry/retry.js';
import type { RetryConfig } from '../core/retry/retry-config.js';
import type { AsyncMethodDecorator, UseRetrySyncForSynchronousMethods } from './decorator-types.js';
import { policyDecorator } from './policy-decorator.js';

/**
 * Runs the method again when it fails. Above `@CircuitProtected` each try passes the breaker, and an open
 * circuit ends the retries at once. On a class: every method of its own.
 *
 * @param retry options, a RetryConfig, a policy, or the name of a retry of the module
 * @example
 * @Retry({ maxAttempts: 3, retryOn: isTransientError })
 * fetchUser(id: string): Promise<User> { ... }
 * @throws RetryExhaustedError (the method) when attempts, duration, budget or deadline run out
 */
export function Retry(
  retry?: string | RetryOptions | RetryConfig | RetryPolicy,
): AsyncMethodDecorator<UseRetrySyncForSynchronousMethods> {
  return policyDecorator('Retry', {
    part: 'retry',
    given: retry,
  }) as AsyncMethodDecorator<UseRetrySyncForSynchronousMethods>;
}
