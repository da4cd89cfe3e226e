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
  /** One breaker for each name, shared by all who name it: `@CircuitProtected(name)`, `@InjectCircuitBreaker(name)`, policies. */
  readonly circuitBreakers?: Named<CircuitBreakerOptions> | undefined;
  /** For `@Retry(name)`, `@RetrySync(name)` and `retry: name` in policies. */
  readonly retries?: Named<RetryOptions | RetryConfig> | undefined;
  /** One set of slots for each name, shared by all who name it: `@Bulkhead(name)`, policies. */
  readonly bulkheads?: Named<BulkheadOptions> | undefined;
  /** One bucket of tokens for each name, shared by all who name it: `@RateLimit(name)`, policies. */
  readonly rateLimits?: Named<RateLimitOptions> | undefined;
  /** One limit for each name, shared by all who name it: `@AdaptiveLimit(name)`, policies. */
  readonly adaptiveLimits?: Named<AdaptiveLimitOptions> | undefined;
  /** One client throttle for each name, shared by all who name it: `@ClientThrottle(name)`, `clientThrottle: name` in policies. */
  readonly throttles?: Named<ClientThrottleOptions> | undefined;
  /** For `@Hedge(name)` and `hedge: name` in policies. */
  readonly hedges?: Named<HedgeOptions> | undefined;
  /** Retry budgets, shared by the retries and hedges that name them. */
  readonly budgets?: Named<RetryBudgetOptions> | undefined;
  /** Whole policies, for `@Resilient(name)`, `ResilienceInterceptor(name)` and `@InjectPolicy(name)`. */
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
  /** Under the options of every circuit breaker. Default: opens after 5 failures in a row, for 30 s. */
  readonly circuitBreaker?: CircuitBreakerOptions | undefined;
  /** Under the options of every retry but a `RetryConfig`. Default: 3 attempts, 100 ms before the first retry, twice as long before each next. */
  readonly retry?: RetryOptions | undefined;
  /** Under the options of every bulkhead. Default: 10 calls at once, no queue. */
  readonly bulkhead?: BulkheadOptions | undefined;
  /** Under the options of every rate limit, each of which needs a `limit` and an `interval` from here or of its own. Default: none. */
  readonly rateLimit?: Partial<RateLimitOptions> | undefined;
  /** Under the options of every adaptive limit. Default: from 1 to 200 calls at once, 20 to begin with. */
  readonly adaptiveLimit?: AdaptiveLimitOptions | undefined;
  /** Under the options of every client throttle. Default: twice as many calls as were accepted in the last two minutes. */
  readonly clientThrottle?: ClientThrottleOptions | undefined;
  /** Under the options of every hedge, each of which needs a `delay` from here or of its own. Default: one more try. */
  readonly hedge?: Partial<HedgeOptions> | undefined;
}
