import type { ResilienceEventType } from '../../core/events.js';

const types: Readonly<Record<ResilienceEventType, true>> = {
  'breaker.opened': true,
  'breaker.half-opened': true,
  'breaker.closed': true,
  'breaker.isolated': true,
  'breaker.disabled': true,
  'breaker.rejected': true,
  'breaker.spared': true,
  'retry.scheduled': true,
  'retry.recovered': true,
  'retry.exhausted': true,
  'time-limit.exceeded': true,
  'time-limit.spared': true,
  'bulkhead.rejected': true,
  'bulkhead.spared': true,
  'rate-limit.rejected': true,
  'rate-limit.spared': true,
  'adaptive-limit.rejected': true,
  'throttle.rejected': true,
  'fallback.served': true,
  'fallback.failed': true,
  'hedge.started': true,
  'hedge.won': true,
};

/** Every type of event. */
export const EVENT_TYPES: readonly string[] = Object.keys(types);
