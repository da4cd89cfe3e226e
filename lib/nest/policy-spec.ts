import type { CircuitBreaker } from '../core/circuit-breaker/circuit-breaker.js';
import type { CircuitBreakerOptions } from '../core/circuit-breaker/options.js';
import type { Policy } from '../core/policy.js';
import type { RetryOptions } from '../core/retry/options.js';
import type { RetryPolicy } from '../core/retry/retry.js';
import type { RetryConfig } from '../core/retry/retry-config.js';

/** What each part of a policy may be given as: a name, options, or a policy made by hand. */
export interface PolicyParts {
  retry: string | RetryOptions | RetryConfig | RetryPolicy;
  circuitBreaker: string | CircuitBreakerOptions | CircuitBreaker;
}
export type PolicyPart = keyof PolicyParts;

/** Parts in the fixed order: outermost first, whatever the order of the keys. */
export const FIXED_ORDER = ['retry', 'circuitBreaker'] as const satisfies readonly PolicyPart[];

/**
 * A policy as a module or `@Resilient` takes it: parts in the fixed order, or a list of single-key
 * objects, outermost first, for any other order.
 */
export type PolicyOptions = Partial<PolicyParts> | readonly Partial<PolicyParts>[];

/** One step of a protected method, still to be resolved by an application. */
export type PolicySpec =
  | {
      [P in PolicyPart]: { readonly part: P; readonly given: PolicyParts[P] | undefined };
    }[PolicyPart]
  | { readonly part: 'retrySync'; readonly given: PolicyParts['retry'] | undefined }
  | { readonly part: 'policy'; readonly given: string | PolicyOptions | Policy };
