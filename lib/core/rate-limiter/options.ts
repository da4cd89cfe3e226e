import type { Duration } from '../duration.js';
import type { EnforcementMode } from '../live-options.js';
import { type Schema, boolean, duration, integer, oneOf, required, text } from '../validation.js';
import { type TimingsMode, timingsField } from '../timings.js';

/** How many calls may start in a time. */
export interface RateLimitOptions {
  /** Calls that may start in each `interval`, in the long run. */
  limit: number;
  /** At least 1 ms. */
  interval: Duration;
  /** Calls that may start at once after a quiet time. Default: `limit`. */
  burst?: number | undefined;
  /** How long a call may wait for its turn. Default 0: it is rejected at once. */
  maxWait?: Duration | undefined;
  /** `'shadow'` decides and reports everything, and neither rejects nor holds back. Default `'enforce'`. */
  mode?: EnforcementMode | undefined;
  /** In ids, figures and rejections. Default `'rateLimit'`. */
  name?: string | undefined;
  /** Record how long calls take: `'off'`, `'sampled'` (one in 17) or `'all'`. Default `'off'`. */
  timings?: TimingsMode | undefined;
  /** Stack traces on rejections. Default false: they are most of a rejection's cost. */
  captureStack?: boolean | undefined;
}

/** The options in force: every default filled in, durations in milliseconds. */
export interface ResolvedRateLimitOptions {
  readonly limit: number;
  readonly interval: number;
  readonly burst: number | undefined;
  readonly maxWait: number;
  readonly mode: EnforcementMode;
  readonly name: string | undefined;
  readonly timings: TimingsMode | undefined;
  readonly captureStack: boolean;
}

export const rateLimitSchema: Schema<ResolvedRateLimitOptions> = {
  limit: required(integer(1)),
  interval: required(duration(1)),
  burst: { rule: integer(1), default: undefined },
  maxWait: { rule: duration(), default: 0 },
  mode: { rule: oneOf('enforce', 'shadow'), default: 'enforce' },
  name: { rule: text(), default: undefined },
  timings: timingsField,
  captureStack: { rule: boolean(), default: false },
};
