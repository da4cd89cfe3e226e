import { type ErrorFilter, errorFilter } from '../error-filter.js';
import type { CircuitState } from '../errors.js';
import { type Schema, boolean, callback, duration, integer } from '../validation.js';
import type { Duration } from '../duration.js';
import type { OpeningReport } from './opening-report.js';

/** What a listener is told, after the breaker has changed. */
export interface CircuitStateChange {
  readonly breakerName: string;
  readonly from: CircuitState;
  readonly to: CircuitState;
  /** The failure that opened it, where one did. */
  readonly error?: unknown;
  /** Milliseconds since the epoch. */
  readonly at: number;
  /** Why it opened. */
  readonly opening?: OpeningReport;
}
export type CircuitStateListener = (change: CircuitStateChange) => void;

/** How a circuit breaker decides. Every option may be left out. */
export interface CircuitBreakerOptions {
  /** Consecutive counted failures that open it. Default 5. */
  failureThreshold?: number | undefined;
  /** Open time before a probe is let through. Default 30 s. */
  recoveryTimeout?: Duration | undefined;
  /** Probes in flight at once while half-open. Default 3. */
  halfOpenMaxCalls?: number | undefined;
  /** Probe successes that close it. Default 2. */
  successThreshold?: number | undefined;
  /** What counts as a failure. Default: any error but this library's own rejections. */
  failureExceptions?: ErrorFilter | undefined;
  /** What counts as nothing; wins over `failureExceptions`. Default: aborts. */
  ignoreExceptions?: ErrorFilter | undefined;
  /** A returned value that counts as a failure; the caller gets it all the same. */
  // `any`: the value's type is the protected function's.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  isFailure?: ((result: any) => boolean) | undefined;
  onStateChange?: CircuitStateListener | undefined;
  /** How long a probe may hold its permit. Default: `recoveryTimeout`. */
  probeTimeout?: Duration | undefined;
  /** Stack traces on rejections. Default false: they are most of a rejection's cost. */
  captureStack?: boolean | undefined;
}

/** The options in force: every default filled in, durations in milliseconds. */
export interface ResolvedCircuitBreakerOptions {
  readonly failureThreshold: number;
  readonly recoveryTimeout: number;
  readonly halfOpenMaxCalls: number;
  readonly successThreshold: number;
  readonly failureExceptions: ErrorFilter | undefined;
  readonly ignoreExceptions: ErrorFilter | undefined;
  readonly isFailure: ((result: unknown) => boolean) | undefined;
  readonly onStateChange: CircuitStateListener | undefined;
  readonly probeTimeout: number | undefined;
  readonly captureStack: boolean;
}

export const circuitBreakerSchema: Schema<ResolvedCircuitBreakerOptions> = {
  failureThreshold: { rule: integer(1), default: 5 },
  recoveryTimeout: { rule: duration(), default: 30_000 },
  halfOpenMaxCalls: { rule: integer(1), default: 3 },
  successThreshold: { rule: integer(1), default: 2 },
  failureExceptions: { rule: errorFilter(), default: undefined },
  ignoreExceptions: { rule: errorFilter(), default: undefined },
  isFailure: { rule: callback(), default: undefined },
  onStateChange: { rule: callback(), default: undefined },
  probeTimeout: { rule: duration(1), default: undefined },
  captureStack: { rule: boolean(), default: false },
};
