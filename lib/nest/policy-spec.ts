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
  /** Answers for what fails inside it: a handler, which gets the error and the arguments. */
  fallback: FallbackGiven | FallbackPolicy;
  /** Of the whole call, with all its attempts and waits: at least 1 ms, no default. */
  timeLimit: Duration | TimeLimitOptions | TimeLimitPolicy;
  /** Runs what is inside it again when it fails. Default of `{}`: 3 attempts. */
  retry: string | RetryOptions | RetryConfig | RetryPolicy;
  /** Starts another try beside one that is slow to answer; `delay` has no default. */
  hedge: string | HedgeOptions | HedgePolicy;
  /** Holds calls back while most are rejected as overload. Default of `{}`: twice as many calls as were accepted in the last two minutes. */
  clientThrottle: string | ClientThrottleOptions | ClientThrottlePolicy;
  /** Turns calls away while the dependency fails. Default of `{}`: opens after 5 failures in a row, for 30 s. */
  circuitBreaker: string | CircuitBreakerOptions | CircuitBreaker;
  /** So many calls in a time; `limit` and `interval` have no default. */
  rateLimit: string | RateLimitOptions | RateLimitPolicy;
  /** So many calls at once. Default of `{}`: 10, no queue. */
  bulkhead: string | BulkheadOptions | BulkheadPolicy;
  /** As many calls at once as latency and overload allow. Default of `{}`: from 1 to 200, 20 to begin with. */
  adaptiveLimit: string | AdaptiveLimitOptions | AdaptiveLimitPolicy;
  /** Of each attempt: at least 1 ms, no default. */
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
  /** Picks the key from the arguments of the call: one breaker for each key, `maxKeys` (default 1000) at most. Default: one breaker for all calls. */
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
