import type { Duration } from '../duration.js';
import { type Schema, boolean, duration, integer, text } from '../validation.js';

/** How many calls may run at once, and how many may wait. Every option may be left out. */
export interface BulkheadOptions {
  /** Calls that run at once. Default 10. */
  maxConcurrent?: number | undefined;
  /** Calls that wait for a slot, first in, first out. Default 0: a full bulkhead rejects at once. */
  maxQueue?: number | undefined;
  /** How long a call may wait for its slot. Default: as long as its caller does. */
  queueTimeout?: Duration | undefined;
  /** In ids, figures and rejections. Default `'bulkhead'`. */
  name?: string | undefined;
  /** Stack traces on rejections. Default false: they are most of a rejection's cost. */
  captureStack?: boolean | undefined;
}

/** The options in force: every default filled in, durations in milliseconds. */
export interface ResolvedBulkheadOptions {
  readonly maxConcurrent: number;
  readonly maxQueue: number;
  readonly queueTimeout: number | undefined;
  readonly name: string | undefined;
  readonly captureStack: boolean;
}

export const bulkheadSchema: Schema<ResolvedBulkheadOptions> = {
  maxConcurrent: { rule: integer(1), default: 10 },
  maxQueue: { rule: integer(0), default: 0 },
  queueTimeout: { rule: duration(1), default: undefined },
  name: { rule: text(), default: undefined },
  captureStack: { rule: boolean(), default: false },
};
