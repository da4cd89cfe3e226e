import type { CircuitBreaker } from '../core/circuit-breaker/circuit-breaker.js';
import type { BreakerKeyFunction } from '../core/circuit-breaker/keyed.js';
import type { CircuitBreakerOptions } from '../core/circuit-breaker/options.js';
import type { AnyMethodDecorator } from './decorator-types.js';
import { policyDecorator } from './policy-decorator.js';

/**
 * Runs the method under a circuit breaker. The method keeps its kind of result: a promise, a plain value,
 * an Observable or an async iterable. On a class: every method of its own.
 *
 * @param breaker the name of a breaker of the module (shared by all who name it), options or nothing for
 * one of its own, named `Class.method`, or a breaker made by hand
 * @example
 * @Retry()
 * @CircuitProtected('payments')
 * charge(amount: number): Promise<Receipt> { ... }
 * @throws CircuitBreakerError (the method) while the circuit turns calls away
 */
export function CircuitProtected(
  breaker?: string | CircuitBreakerOptions | CircuitBreaker,
  options?: CircuitProtectedOptions,
): AnyMethodDecorator {
  return policyDecorator('CircuitProtected', { part: 'circuitBreaker', given: breaker, options });
}

/** What `@CircuitProtected` takes beside the breaker itself. */
export interface CircuitProtectedOptions {
  /**
   * One circuit breaker for each key that it picks from the method's arguments: a tenant, a host, a
   * shard. At most `maxKeys` (an option of the breaker) are kept.
   */
  readonly key?: BreakerKeyFunction | undefined;
}
