import type { BulkheadOptions } from '../core/bulkhead/options.js';
import type { CircuitBreakerOptions } from '../core/circuit-breaker/options.js';
import type { Duration } from '../core/duration.js';
import type { Policy } from '../core/policy.js';
import type { RateLimitOptions } from '../core/rate-limiter/options.js';
import type { RetryConfig } from '../core/retry/retry-config.js';
import type { RetryOptions } from '../core/retry/options.js';
import type { TimeLimitOptions } from '../core/time-limit.js';
import type { NamedGroup } from './named-options.js';
import type { PolicyPart } from './policy-spec.js';

type Named<T> = Readonly<Record<string, T | undefined>>;

/** Changes of the parts that stand in a named policy with options of their own. */
export interface PolicyChanges {
  /** Of the whole call, in milliseconds or as `'3s'`. */
  readonly timeLimit?: Duration | Partial<TimeLimitOptions> | undefined;
  /** Of its retry; a `RetryConfig` replaces all options. */
  readonly retry?: RetryOptions | RetryConfig | undefined;
  /** Of its circuit breaker, whose state and statistics stay. */
  readonly circuitBreaker?: CircuitBreakerOptions | undefined;
  /** Of its rate limit, whose tokens stay. */
  readonly rateLimit?: Partial<RateLimitOptions> | undefined;
  /** Of its bulkhead, whose slots and queue stay. */
  readonly bulkhead?: BulkheadOptions | undefined;
  /** Of each attempt, in milliseconds or as `'3s'`. */
  readonly attemptTimeLimit?: Duration | Partial<TimeLimitOptions> | undefined;
}

/** Options to change, by the names under which the module has them; what is left out stays. */
export interface ResilienceChanges {
  /** Of named circuit breakers, and of the breakers for each key under their options. */
  readonly circuitBreakers?: Named<CircuitBreakerOptions> | undefined;
  /** Of named retries; a `RetryConfig` replaces all options. */
  readonly retries?: Named<RetryOptions | RetryConfig> | undefined;
  /** Of named bulkheads. */
  readonly bulkheads?: Named<BulkheadOptions> | undefined;
  /** Of named rate limits. */
  readonly rateLimits?: Named<Partial<RateLimitOptions>> | undefined;
  /** Of the parts that named policies have as options of their own. */
  readonly policies?: Named<PolicyChanges> | undefined;
}
export type LiveGroup = keyof ResilienceChanges & NamedGroup;

/** In the order in which problems are listed and changes are made. */
export const LIVE_GROUPS = [
  'circuitBreakers',
  'retries',
  'bulkheads',
  'rateLimits',
  'policies',
] as const satisfies readonly LiveGroup[];

export const LIVE_PARTS = [
  'timeLimit',
  'retry',
  'circuitBreaker',
  'rateLimit',
  'bulkhead',
  'attemptTimeLimit',
] as const satisfies readonly (keyof PolicyChanges & PolicyPart)[];

/** Makes a change that has been checked; it fails only where another one has been made since. */
export type Apply = () => void;

/** A policy whose options can change while it works. */
interface LivePolicy {
  /** @throws ResilienceConfigError with every problem of the change */
  prepare(changes: unknown): Apply;
}

export function isLive(policy: Policy): policy is Policy & LivePolicy {
  return 'prepare' in policy;
}
