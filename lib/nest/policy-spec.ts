import type { AdaptiveLimitPolicy } from '../core/adaptive-limit/adaptive-limit.js';
import type { AdaptiveLimitOptions } from '../core/adaptive-limit/options.js';
import type { BulkheadPolicy } from '../core/bulkhead/bulkhead.js';
import type { BulkheadOptions } from '../core/bulkhead/options.js';
import type { CircuitBreaker } from '../core/circuit-breaker/circuit-breaker.js';
import type { BreakerKeyFunction } from '../core/circuit-breaker/keyed.js';
import type { CircuitBreakerOptions } from '../core/circuit-breaker/options.js';
import type { ClientThrottlePolicy } from '../core/client-throttle/client-throttle.js';
import type { ClientThrottleOptions } from '../core/client-throttle/options.js';
import type { Duration } from '../core/duration.js';
import type { FallbackHandler, FallbackOptions, FallbackPolicy } from '../core/fallback.js';
import type { HedgePolicy } from '../core/hedge/hedge.js';
import type { HedgeOptions } from '../core/hedge/options.js';
import type { Policy } from '../core/policy.js';
import type { RateLimitOptions } from '../core/rate-limiter/options.js';
import type { RateLimitPolicy } from '../core/rate-limiter/rate-limiter.js';
import type { RetryOptions } from '../core/retry/options.js';
import type { RetryPolicy } from '../core/retry/retry.js';
import type { RetryConfig } from '../core/retry/retry-config.js';
import type { TimeLimitOptions, TimeLimitPolicy } from '../core/time-limit.js';

/** A handler alone, or with the errors that it covers. */
export type FallbackGiven = FallbackHandler | (FallbackOptions & { handler: FallbackHandler });

/**
 * What each part of a policy may be given as: a name of the module (where a string is no duration),
 * options, or a policy made by hand.
 */
export interface PolicyParts {
  fallback: FallbackGiven | FallbackPolicy;
  /** Of the whole call, with all its attempts and waits. */
  timeLimit: Duration | TimeLimitOptions | TimeLimitPolicy;
  retry: string | RetryOptions | RetryConfig | RetryPolicy;
  hedge: string | HedgeOptions | HedgePolicy;
  clientThrottle: string | ClientThrottleOptions | ClientThrottlePolicy;
  circuitBreaker: string | CircuitBreakerOptions | CircuitBreaker;
  rateLimit: string | RateLimitOptions | RateLimitPolicy;
  bulkhead: string | BulkheadOptions | BulkheadPolicy;
  adaptiveLimit: string | AdaptiveLimitOptions | AdaptiveLimitPolicy;
  /** Of each attempt. */
  attemptTimeLimit: Duration | TimeLimitOptions | TimeLimitPolicy;
}
export type PolicyPart = keyof PolicyParts;

/** Parts in the fixed order: outermost first, whatever the order of the keys. */
export const FIXED_ORDER = [
  'fallback',
  'timeLimit',
  'retry',
  'hedge',
  'clientThrottle',
  'circuitBreaker',
  'rateLimit',
  'bulkhead',
  'adaptiveLimit',
  'attemptTimeLimit',
] as const satisfies readonly PolicyPart[];

/**
 * A policy as a module or `@Resilient` takes it: parts in the fixed order, or a list of single-key
 * objects, outermost first, for any other order.
 */
export type PolicyOptions = Partial<PolicyParts> | readonly Partial<PolicyParts>[];

/** Which of several circuit breakers a call meets. */
export interface KeyOptions {
  readonly key?: BreakerKeyFunction | undefined;
}

/** One step of a protected method, still to be resolved by an application. */
export type PolicySpec =
  | {
      [P in PolicyPart]: {
        readonly part: P;
        readonly given: PolicyParts[P] | undefined;
        /** What a decorator of a circuit breaker was given beside it. */
        readonly options?: KeyOptions | undefined;
        /** A method of the same instance that this step calls: it must exist. */
        readonly method?: string | undefined;
      };
    }[PolicyPart]
  | { readonly part: 'retrySync'; readonly given: PolicyParts['retry'] | undefined }
  | { readonly part: 'policy'; readonly given: string | PolicyOptions | Policy };
