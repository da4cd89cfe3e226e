export * from './core/index.js';
export { AdaptiveLimit } from './decorators/adaptive-limit.js';
export { Bulkhead } from './decorators/bulkhead.js';
export { CircuitProtected } from './decorators/circuit-protected.js';
export type { CircuitProtectedOptions } from './decorators/circuit-protected.js';
export { ClientThrottle } from './decorators/client-throttle.js';
export { Fallback } from './decorators/fallback.js';
export { Hedge } from './decorators/hedge.js';
export { RateLimit } from './decorators/rate-limit.js';
export { Resilient } from './decorators/resilient.js';
export { Retry } from './decorators/retry.js';
export { RetrySync } from './decorators/retry-sync.js';
export { TimeLimit } from './decorators/time-limit.js';
export { OnResilienceEvent } from './nest/events/on-resilience-event.js';
export type { EventFilter } from './nest/events/subscriptions.js';
export { ResilienceEvents } from './nest/events/resilience-events.js';
export { CircuitBreakerRegistry } from './nest/circuit-breaker-registry.js';
export { ResilienceConfigurator } from './nest/configurator.js';
export type { PolicyChanges, ResilienceChanges } from './nest/live-changes.js';
export { ResilienceExceptionFilter } from './nest/exception-filter.js';
export { ResilienceHealthIndicator } from './nest/health.js';
export type { BreakerHealth, HealthCheckOptions, ResilienceHealth } from './nest/health.js';
export { InjectCircuitBreaker, InjectPolicy } from './nest/inject.js';
export { ResilienceInspector } from './nest/inspector/inspector.js';
export type {
  MethodReport,
  ResilienceReport,
  ResilienceWarning,
} from './nest/inspector/inspector.js';
export { ResilienceInterceptor } from './nest/interceptor.js';
export type {
  EventOptions,
  HttpOptions,
  ModuleVisibility,
  ResilienceModuleAsyncOptions,
  ResilienceModuleOptions,
  ResilienceOptionsFactory,
} from './nest/module-options.js';
export type { DefaultOptions, NamedOptions } from './nest/named-options.js';
export type { FallbackGiven, PolicyOptions, PolicyParts } from './nest/policy-spec.js';
export { ResilienceModule } from './nest/resilience.module.js';
export { getCircuitBreakerToken, getPolicyToken } from './nest/tokens.js';
export { resilient } from './rxjs/resilient.js';
