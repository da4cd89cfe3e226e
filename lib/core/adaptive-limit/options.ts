import type { Duration } from '../duration.js';
import { type ErrorFilter, errorFilter } from '../error-filter.js';
import { type TimingsMode, timingsField } from '../timings.js';
import {
  type Issues,
  type Schema,
  boolean,
  callback,
  duration,
  either,
  integer,
  number,
  text,
} from '../validation.js';

/** How many calls beyond the dependency's capacity a limit allows, so that it can grow. */
export type QueueSizeFunction = (limit: number) => number;

/** Where a limit on concurrent calls begins and ends, and how it adapts. Every option may be left out. */
export interface AdaptiveLimitOptions {
  /** Calls at once until something has been measured. Default 20, or the nearest of the two below. */
  initialLimit?: number | undefined;
  /** The limit never goes below this. Default 1. */
  minLimit?: number | undefined;
  /** The limit never goes above this. Default 200. */
  maxLimit?: number | undefined;
  /** How much of each new estimate is taken on, above 0, at most 1. Default 0.2. */
  smoothing?: number | undefined;
  /** Times the unloaded latency that still count as unloaded, at least 1. Default 1.2. */
  tolerance?: number | undefined;
  /**
   * Calls that may queue in the dependency: what the limit grows by while latency is low. A number, or a
   * function of the current limit. Default: the square root of the limit.
   */
  queueSize?: number | QueueSizeFunction | undefined;
  /** The limit changes once in this time (at least twice the unloaded latency). Default 1 s. */
  window?: Duration | undefined;
  /** Settled calls that a window needs; it lasts until it has them. Default 10. */
  minimumCalls?: number | undefined;
  /** How often a limit in full use is halved for a moment to measure the unloaded latency. Default 30 s. */
  probeInterval?: Duration | undefined;
  /**
   * Failures that tell of overload, so that the limit shrinks. Default: time-outs, HTTP 429, 503 and 504,
   * a refused connection. Other failures tell nothing.
   */
  dropOn?: ErrorFilter | undefined;
  /** In ids, figures and rejections. Default `'adaptiveLimit'`. */
  name?: string | undefined;
  /** Record how long calls take: `'off'`, `'sampled'` (one in 17) or `'all'`. Default `'off'`. */
  timings?: TimingsMode | undefined;
  /** Stack traces on rejections. Default false: they are most of a rejection's cost. */
  captureStack?: boolean | undefined;
}

/** The options in force: every default filled in, durations in milliseconds. */
export interface ResolvedAdaptiveLimitOptions {
  readonly initialLimit: number;
  readonly minLimit: number;
  readonly maxLimit: number;
  readonly smoothing: number;
  readonly tolerance: number;
  readonly queueSize: number | QueueSizeFunction;
  readonly window: number;
  readonly minimumCalls: number;
  readonly probeInterval: number;
  readonly dropOn: ErrorFilter | undefined;
  readonly name: string | undefined;
  readonly timings: TimingsMode | undefined;
  readonly captureStack: boolean;
}

type Read = Omit<ResolvedAdaptiveLimitOptions, 'initialLimit'> & {
  readonly initialLimit: number | undefined;
};

export const adaptiveLimitSchema: Schema<Read> = {
  initialLimit: { rule: integer(1), default: undefined },
  minLimit: { rule: integer(1), default: 1 },
  maxLimit: { rule: integer(1), default: 200 },
  smoothing: { rule: number({ above: 0, max: 1 }), default: 0.2 },
  tolerance: { rule: number({ min: 1 }), default: 1.2 },
  queueSize: {
    rule: either(number({ min: 0 }), callback<QueueSizeFunction>()),
    default: Math.sqrt,
  },
  window: { rule: duration(1), default: 1000 },
  minimumCalls: { rule: integer(1), default: 10 },
  probeInterval: { rule: duration(1), default: 30_000 },
  dropOn: { rule: errorFilter(), default: undefined },
  name: { rule: text(), default: undefined },
  timings: timingsField,
  captureStack: { rule: boolean(), default: false },
};

/** What no single option can tell: that the three limits stand in order. */
export function withLimitsInOrder(
  options: Read,
  path: string,
  issues: Issues,
): ResolvedAdaptiveLimitOptions {
  const { minLimit, maxLimit, initialLimit } = options;
  if (minLimit > maxLimit) {
    issues.add(`${path}.minLimit`, `must be at most maxLimit (${String(maxLimit)})`, minLimit);
  }
  if (initialLimit !== undefined && (initialLimit < minLimit || initialLimit > maxLimit)) {
    issues.add(
      `${path}.initialLimit`,
      `must be between minLimit (${String(minLimit)}) and maxLimit (${String(maxLimit)})`,
      initialLimit,
    );
  }
  const nearest = Math.max(minLimit, Math.min(maxLimit, 20));
  return Object.freeze({ ...options, initialLimit: initialLimit ?? nearest });
}
