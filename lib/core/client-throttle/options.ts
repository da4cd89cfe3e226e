import type { Duration } from '../duration.js';
import { type ErrorFilter, errorFilter } from '../error-filter.js';
import { type TimingsMode, timingsField } from '../timings.js';
import { type Schema, boolean, duration, integer, number, text } from '../validation.js';

/** When a client holds its own calls back. Every option may be left out. */
export interface ClientThrottleOptions {
  /** Calls made for each that is accepted, at least 1: more lets the client see a recovery sooner. Default 2. */
  multiplier?: number | undefined;
  /** What counts as the latest calls. Default 2 min. */
  window?: Duration | undefined;
  /** Calls in the window below which nothing is held back. Default 10. */
  minimumCalls?: number | undefined;
  /**
   * The largest share of calls to hold back, 0..1. The rest keeps asking a dependency that accepts nothing,
   * so that its recovery is seen: the more, the sooner. Default 0.8, as in Envoy's admission control.
   */
  maxRejectionRate?: number | undefined;
  /**
   * Failures that mean that the dependency did not accept the call. Default: HTTP 429, 503 and 504,
   * time-outs, a refused connection. Any other end counts as accepted; this library's own rejections and
   * aborts count as nothing.
   */
  rejectedBy?: ErrorFilter | undefined;
  /** In ids, figures and rejections. Default `'clientThrottle'`. */
  name?: string | undefined;
  /** Record how long calls take: `'off'`, `'sampled'` (one in 17) or `'all'`. Default `'off'`. */
  timings?: TimingsMode | undefined;
  /** Stack traces on rejections. Default false: they are most of a rejection's cost. */
  captureStack?: boolean | undefined;
}

/** The options in force: every default filled in, durations in milliseconds. */
export interface ResolvedClientThrottleOptions {
  readonly multiplier: number;
  readonly window: number;
  readonly minimumCalls: number;
  readonly maxRejectionRate: number;
  readonly rejectedBy: ErrorFilter | undefined;
  readonly name: string | undefined;
  readonly timings: TimingsMode | undefined;
  readonly captureStack: boolean;
}

export const clientThrottleSchema: Schema<ResolvedClientThrottleOptions> = {
  multiplier: { rule: number({ min: 1 }), default: 2 },
  window: { rule: duration(100), default: 120_000 },
  minimumCalls: { rule: integer(1), default: 10 },
  maxRejectionRate: { rule: number({ min: 0, max: 1 }), default: 0.8 },
  rejectedBy: { rule: errorFilter(), default: undefined },
  name: { rule: text(), default: undefined },
  timings: timingsField,
  captureStack: { rule: boolean(), default: false },
};
