export { AbortError, isAbortError } from './cancellation.js';
export { CircuitBreaker } from './circuit-breaker/circuit-breaker.js';
export type {
  CircuitBreakerSnapshot,
  CircuitBreakerStats,
} from './circuit-breaker/circuit-breaker.js';
export type { CircuitHold } from './circuit-breaker/holds.js';
export type { OpeningReport } from './circuit-breaker/opening-report.js';
export type {
  CircuitBreakerOptions,
  CircuitStateChange,
  CircuitStateListener,
  ResolvedCircuitBreakerOptions,
} from './circuit-breaker/options.js';
export type { Permit } from './circuit-breaker/permit.js';
export { currentAttempt, currentSignal, remainingTime } from './context.js';
export type { CallContext, ExecuteOptions } from './context.js';
export type { Duration } from './duration.js';
export type { ErrorClass, ErrorFilter, ErrorMatcher } from './error-filter.js';
export {
  BulkheadRejectedError,
  CircuitBreakerError,
  CircuitState,
  RateLimitedError,
  RejectedError,
  ResilienceConfigError,
  ResilienceError,
  RetryExhaustedError,
  TimeoutError,
  isResilienceError,
} from './errors.js';
export type { CircuitRejection, ResilienceErrorCode, RetryExhaustedReason } from './errors.js';
export { Pipeline, pipeline } from './pipeline.js';
export type { PipelineSnapshot } from './pipeline.js';
export { Policy } from './policy.js';
export type { PolicyDescription, PolicyKind, PolicySetting, PolicySnapshot } from './policy.js';
export type {
  BackoffFunction,
  BackoffKind,
  Jitter,
  ResolvedRetryOptions,
  RetryOptions,
} from './retry/options.js';
export { RetryPolicy, retry, withRetry } from './retry/retry.js';
export type { RetryOutcome, RetrySnapshot } from './retry/retry.js';
export { RetryBudget } from './retry/retry-budget.js';
export type { RetryBudgetOptions } from './retry/retry-budget.js';
export { RetryConfig } from './retry/retry-config.js';
export { SyncRetryPolicy, retrySync } from './retry/retry-sync.js';
export { Lifetime, defaultRuntime, systemClock } from './runtime.js';
export type { Clock, Logger, Runtime, RuntimeOptions, Timer } from './runtime.js';
export { TimeLimitPolicy, timeLimit } from './time-limit.js';
export type {
  ResolvedTimeLimitOptions,
  TimeLimitOptions,
  TimeLimitOutcome,
  TimeLimitSnapshot,
} from './time-limit.js';
export { isTransientError } from './transient-error.js';
