import type { CircuitBreakerOptions } from '../core/circuit-breaker/options.js';
import type { RetryOptions } from '../core/retry/options.js';
import type { RetryBudgetOptions } from '../core/retry/retry-budget.js';
import type { RetryConfig } from '../core/retry/retry-config.js';
import type { PolicyOptions } from './policy-spec.js';

type Named<T> = Readonly<Record<string, T>>;

/** What can be configured by name, in the root module and in feature modules. */
export interface NamedOptions {
  readonly circuitBreakers?: Named<CircuitBreakerOptions> | undefined;
  readonly retries?: Named<RetryOptions | RetryConfig> | undefined;
  /** Retry budgets, shared by the retries and hedges that name them. */
  readonly budgets?: Named<RetryBudgetOptions> | undefined;
  readonly policies?: Named<PolicyOptions> | undefined;
}
export type NamedGroup = keyof NamedOptions;

/** Options under everything made in one application, decorators included; what is written at the place wins. */
export interface DefaultOptions {
  readonly circuitBreaker?: CircuitBreakerOptions | undefined;
  readonly retry?: RetryOptions | undefined;
}
