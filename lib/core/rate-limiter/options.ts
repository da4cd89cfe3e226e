import type { Duration } from '../duration.js';
import { type Schema, boolean, duration, integer, required, text } from '../validation.js';

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
  /** In ids, figures and rejections. Default `'rateLimit'`. */
  name?: string | undefined;
  /** Stack traces on rejections. Default false: they are most of a rejection's cost. */
  captureStack?: boolean | undefined;
}

/** The options in force: every default filled in, durations in milliseconds. */
export interface ResolvedRateLimitOptions {
  readonly limit: number;
  readonly interval: number;
  readonly burst: number | undefined;
  readonly maxWait: number;
  readonly name: string | undefined;
  readonly captureStack: boolean;
}

export const rateLimitSchema: Schema<ResolvedRateLimitOptions> = {
  limit: required(integer(1)),
  interval: required(duration(1)),
  burst: { rule: integer(1), default: undefined },
  maxWait: { rule: duration(), default: 0 },
  name: { rule: text(), default: undefined },
  captureStack: { rule: boolean(), default: false },
};
