import type { AdaptiveLimitOptions } from '../core/adaptive-limit/options.js';
import type { BulkheadOptions } from '../core/bulkhead/options.js';
import type { CircuitBreakerOptions } from '../core/circuit-breaker/options.js';
import type { ClientThrottleOptions } from '../core/client-throttle/options.js';
import type { HedgeOptions } from '../core/hedge/options.js';
import type { RateLimitOptions } from '../core/rate-limiter/options.js';
import type { RetryOptions } from '../core/retry/options.js';
import type { RetryBudgetOptions } from '../core/retry/retry-budget.js';
import type { RetryConfig } from '../core/retry/retry-config.js';
import type { TimingsMode } from '../core/timings.js';
import type { PolicyOptions } from './policy-spec.js';

type Named<T> = Readonly<Record<string, T>>;

/** What can be configured by name, in the root module and in feature modules. */
export interface NamedOptions {
  readonly circuitBreakers?: Named<CircuitBreakerOptions> | undefined;
  readonly retries?: Named<RetryOptions | RetryConfig> | undefined;
  readonly bulkheads?: Named<BulkheadOptions> | undefined;
  readonly rateLimits?: Named<RateLimitOptions> | undefined;
  readonly adaptiveLimits?: Named<AdaptiveLimitOptions> | undefined;
  readonly throttles?: Named<ClientThrottleOptions> | undefined;
  readonly hedges?: Named<HedgeOptions> | undefined;
  /** Retry budgets, shared by the retries and hedges that name them. */
  readonly budgets?: Named<RetryBudgetOptions> | undefined;
  readonly policies?: Named<PolicyOptions> | undefined;
}
export type NamedGroup = keyof NamedOptions;

/** Every group, in the order in which problems are listed. */
export const NAMED_GROUPS = [
  'budgets',
  'circuitBreakers',
  'retries',
  'bulkheads',
  'rateLimits',
  'adaptiveLimits',
  'throttles',
  'hedges',
  'policies',
] as const satisfies readonly NamedGroup[];

/** Options under everything made in one application, decorators included; what is written at the place wins. */
export interface DefaultOptions {
  /** Of every policy whose own options say nothing of it. Default `'off'`. */
  readonly timings?: TimingsMode | undefined;
  readonly circuitBreaker?: CircuitBreakerOptions | undefined;
  readonly retry?: RetryOptions | undefined;
  readonly bulkhead?: BulkheadOptions | undefined;
  readonly rateLimit?: Partial<RateLimitOptions> | undefined;
  readonly adaptiveLimit?: AdaptiveLimitOptions | undefined;
  readonly clientThrottle?: ClientThrottleOptions | undefined;
  readonly hedge?: Partial<HedgeOptions> | undefined;
}
