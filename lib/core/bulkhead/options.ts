import type { Duration } from '../duration.js';
import type { EnforcementMode } from '../live-options.js';
import { type Schema, boolean, duration, integer, oneOf, text } from '../validation.js';
import { type TimingsMode, timingsField } from '../timings.js';

/** How many calls may run at once, and how many may wait. Every option may be left out. */
export interface BulkheadOptions {
  /** Calls that run at once. Default 10. */
  maxConcurrent?: number | undefined;
  /** Calls that wait for a slot, first in, first out. Default 0: a full bulkhead rejects at once. */
  maxQueue?: number | undefined;
  /** How long a call may wait for its slot. Default: as long as its caller does. */
  queueTimeout?: Duration | undefined;
  /** `'shadow'` decides and reports everything, and neither rejects nor holds back. Default `'enforce'`. */
  mode?: EnforcementMode | undefined;
  /** In ids, figures and rejections. Default `'bulkhead'`. */
  name?: string | undefined;
  /** Record how long calls take: `'off'`, `'sampled'` (one in 17) or `'all'`. Default `'off'`. */
  timings?: TimingsMode | undefined;
  /** Stack traces on rejections. Default false: they are most of a rejection's cost. */
  captureStack?: boolean | undefined;
}

/** The options in force: every default filled in, durations in milliseconds. */
export interface ResolvedBulkheadOptions {
  readonly maxConcurrent: number;
  readonly maxQueue: number;
  readonly queueTimeout: number | undefined;
  readonly mode: EnforcementMode;
  readonly name: string | undefined;
  readonly timings: TimingsMode | undefined;
  readonly captureStack: boolean;
}

export const bulkheadSchema: Schema<ResolvedBulkheadOptions> = {
  maxConcurrent: { rule: integer(1), default: 10 },
  maxQueue: { rule: integer(0), default: 0 },
  queueTimeout: { rule: duration(1), default: undefined },
  mode: { rule: oneOf('enforce', 'shadow'), default: 'enforce' },
  name: { rule: text(), default: undefined },
  timings: timingsField,
  captureStack: { rule: boolean(), default: false },
};
