export { AdaptiveLimitPolicy, adaptiveLimit } from './adaptive-limit/adaptive-limit.js';
export type { AdaptiveLimitSnapshot } from './adaptive-limit/adaptive-limit.js';
export type { AdaptiveLimitOutcome } from './adaptive-limit/limiter.js';
export type {
  AdaptiveLimitOptions,
  QueueSizeFunction,
  ResolvedAdaptiveLimitOptions,
} from './adaptive-limit/options.js';
export { AbortError, isAbortError } from './cancellation.js';
export { BulkheadPolicy, bulkhead } from './bulkhead/bulkhead.js';
export type { BulkheadSnapshot } from './bulkhead/bulkhead.js';
export type { BulkheadOptions, ResolvedBulkheadOptions } from './bulkhead/options.js';
export type { BulkheadOutcome } from './bulkhead/slots.js';
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
  RampUp,
  RecoveryBackoff,
  RecoveryTimeoutFunction,
  ResolvedCircuitBreakerOptions,
} from './circuit-breaker/options.js';
export type { ResolvedWindow, WindowOptions } from './circuit-breaker/window-options.js';
export type { Permit } from './circuit-breaker/permit.js';
export { KeyedCircuitBreakers } from './circuit-breaker/keyed.js';
export type {
  BreakerKeyFunction,
  KeyedBreakerSummary,
  KeyedBreakersSnapshot,
} from './circuit-breaker/keyed.js';
export { ClientThrottlePolicy, clientThrottle } from './client-throttle/client-throttle.js';
export type { ClientThrottleSnapshot } from './client-throttle/client-throttle.js';
export type {
  ClientThrottleOptions,
  ResolvedClientThrottleOptions,
} from './client-throttle/options.js';
export type { ClientThrottleOutcome } from './client-throttle/throttle.js';
export { deadlineHeaders } from './deadline-headers.js';
export { currentAttempt, currentSignal, remainingTime } from './context.js';
export type { CallContext } from './call-context.js';
export type { ExecuteOptions } from './context.js';
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
  ThrottledError,
  TimeoutError,
  isResilienceError,
} from './errors.js';
export type { CircuitRejection, ResilienceErrorCode, RetryExhaustedReason } from './errors.js';
export { EventHub } from './events.js';
export type {
  EventSource,
  RecentEvents,
  ResilienceEvent,
  ResilienceEventDetails,
  ResilienceEventListener,
  ResilienceEventType,
} from './events.js';
export { FallbackPolicy, fallback } from './fallback.js';
export type {
  FallbackHandler,
  FallbackOptions,
  FallbackOutcome,
  FallbackSnapshot,
  ResolvedFallbackOptions,
} from './fallback.js';
export { HedgePolicy, hedge } from './hedge/hedge.js';
export type { HedgeOutcome, HedgeSnapshot } from './hedge/hedge.js';
export type { HedgeOptions, ResolvedHedgeOptions } from './hedge/options.js';
export { isOverloadError } from './overload-error.js';
export type { EnforcementMode } from './live-options.js';
export { Pipeline, pipeline } from './pipeline.js';
export type { PipelineSnapshot } from './pipeline.js';
export { Policy } from './policy.js';
export type { PolicyDescription, PolicyKind, PolicySetting, PolicySnapshot } from './policy.js';
export { RateLimitPolicy, rateLimit } from './rate-limiter/rate-limiter.js';
export type { RateLimitSnapshot } from './rate-limiter/rate-limiter.js';
export type { RateLimitOutcome } from './rate-limiter/limiter.js';
export type { RateLimitOptions, ResolvedRateLimitOptions } from './rate-limiter/options.js';
export type {
  BackoffFunction,
  BackoffKind,
  Jitter,
  ResolvedRetryOptions,
  RetryOptions,
} from './retry/options.js';
export { RetryPolicy, retry, withRetry } from './retry/retry.js';
export type { RetryOutcome, RetrySnapshot } from './retry/retry.js';
export { retryAfterOf } from './retry/retry-after.js';
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
export type { TimingSummary, TimingsMode } from './timings.js';
export { isTransientError } from './transient-error.js';
