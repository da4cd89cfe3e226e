import { type ErrorFilter, errorFilter } from '../error-filter.js';
import type { CircuitState } from '../errors.js';
import {
  Issues,
  type Schema,
  boolean,
  callback,
  duration,
  either,
  integer,
  nested,
  number,
  oneOf,
  predicate,
  returning,
  readOptions,
  required,
  text,
} from '../validation.js';
import type { Duration } from '../duration.js';
import { givenOptions, requireFixed } from '../live-options.js';
import type { OpeningReport } from './opening-report.js';
import { type ResolvedWindow, type WindowOptions, windowRule } from './window-options.js';
import { type TimingsMode, timingsField } from '../timings.js';

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
/** Told of every change of state, after it. What it throws is logged, and changes nothing. */
export type CircuitStateListener = (change: CircuitStateChange) => void;

/** The open time that a failure asks for; without an answer it is 30 s. */
export type RecoveryTimeoutFunction = (error: unknown) => Duration | undefined;

/**
 * Lets the open time grow while a dependency stays down; closing brings it back to `recoveryTimeout`.
 *
 * @example
 * const payments = new CircuitBreaker('payments', {
 *   recoveryTimeout: '5s',
 *   recoveryBackoff: { factor: 2, max: '2m' }, // 5 s, 10 s, 20 s, ... 2 min
 * });
 */
export interface RecoveryBackoff {
  /** Each failed recovery multiplies the open time by it; at least 1. */
  factor: number;
  /** The open time does not grow beyond it. */
  max: Duration;
}

/** Admits a growing share of the calls after closing, so that a dependency that is just back is not run over. */
export interface RampUp {
  /** How long it takes to admit every call again. */
  duration: Duration;
  /** The share of calls admitted at first, in (0, 1]. Default 0.1. */
  from?: number | undefined;
}

/** How a circuit breaker decides. Every option may be left out. */
export interface CircuitBreakerOptions {
  /** Consecutive counted failures that open it. Default 5. */
  failureThreshold?: number | undefined;
  /** Open time before a probe is let through: a duration, or taken from the failure. Default 30 s. */
  recoveryTimeout?: Duration | RecoveryTimeoutFunction | undefined;
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
  /** Called after each change of state, to log or to alert; what it throws is logged. Default: nobody is told. */
  onStateChange?: CircuitStateListener | undefined;
  /** How long a probe may hold its permit. Default: `recoveryTimeout`. */
  probeTimeout?: Duration | undefined;
  /** What a closed breaker looks at. Default: `failureThreshold` failures in a row. */
  window?: WindowOptions | undefined;
  /**
   * With it a half-open breaker collects `halfOpenMaxCalls` results in all and closes if the share of
   * failures stays below it. Default: any failure reopens, `successThreshold` successes close.
   */
  halfOpenFailureRate?: number | undefined;
  /** Lengthens the open time with each failed recovery. Default: it stays the same. */
  recoveryBackoff?: RecoveryBackoff | undefined;
  /** Lengthens each open time by up to this fraction, so that a fleet does not probe in one instant. Default 0. */
  recoveryJitter?: number | undefined;
  /** After closing, admits a rising share of calls. Default: all at once. */
  rampUp?: RampUp | undefined;
  /** `'shadow'` decides and reports everything and rejects nothing. Default `'enforce'`. */
  mode?: 'enforce' | 'shadow' | undefined;
  /** With a `key`: the most breakers kept, one for each key. Default 1000. */
  maxKeys?: number | undefined;
  /** Record how long calls take: `'off'`, `'sampled'` (one in 17) or `'all'`. Default `'off'`. */
  timings?: TimingsMode | undefined;
  /** Stack traces on rejections. Default false: they are most of a rejection's cost. */
  captureStack?: boolean | undefined;
}

/** The options in force: every default filled in, durations in milliseconds. */
export interface ResolvedCircuitBreakerOptions {
  readonly failureThreshold: number;
  readonly recoveryTimeout: number | RecoveryTimeoutFunction;
  readonly halfOpenMaxCalls: number;
  readonly successThreshold: number;
  readonly failureExceptions: ErrorFilter | undefined;
  readonly ignoreExceptions: ErrorFilter | undefined;
  readonly isFailure: ((result: unknown) => boolean) | undefined;
  readonly onStateChange: CircuitStateListener | undefined;
  readonly probeTimeout: number | undefined;
  readonly window: ResolvedWindow;
  readonly halfOpenFailureRate: number | undefined;
  readonly recoveryBackoff: { readonly factor: number; readonly max: number } | undefined;
  readonly recoveryJitter: number;
  readonly rampUp: { readonly duration: number; readonly from: number } | undefined;
  readonly mode: 'enforce' | 'shadow';
  readonly maxKeys: number;
  readonly timings: TimingsMode | undefined;
  readonly captureStack: boolean;
}

/** Open time where none is given, or a function gives none. */
export const DEFAULT_RECOVERY = 30_000;

export const circuitBreakerSchema: Schema<ResolvedCircuitBreakerOptions> = {
  failureThreshold: { rule: integer(1), default: 5 },
  recoveryTimeout: {
    rule: either(duration(), returning<RecoveryTimeoutFunction>('a duration')),
    default: DEFAULT_RECOVERY,
  },
  halfOpenMaxCalls: { rule: integer(1), default: 3 },
  successThreshold: { rule: integer(1), default: 2 },
  failureExceptions: { rule: errorFilter(), default: undefined },
  ignoreExceptions: { rule: errorFilter(), default: undefined },
  isFailure: { rule: predicate(), default: undefined },
  onStateChange: { rule: callback(), default: undefined },
  probeTimeout: { rule: duration(1), default: undefined },
  window: { rule: windowRule, default: Object.freeze({ type: 'consecutive' }) },
  halfOpenFailureRate: { rule: number({ above: 0, max: 1 }), default: undefined },
  recoveryBackoff: {
    rule: nested({ factor: required(number({ min: 1 })), max: required(duration(1)) }),
    default: undefined,
  },
  recoveryJitter: { rule: number({ min: 0, max: 1 }), default: 0 },
  rampUp: {
    rule: nested({
      duration: required(duration(1)),
      from: { rule: number({ above: 0, max: 1 }), default: 0.1 },
    }),
    default: undefined,
  },
  mode: { rule: oneOf('enforce', 'shadow'), default: 'enforce' },
  maxKeys: { rule: integer(1, 10_000_000), default: 1000 },
  timings: timingsField,
  captureStack: { rule: boolean(), default: false },
};

/** The options with the probe timeout filled in, which depends on another. */
export type BreakerOptionsInForce = ResolvedCircuitBreakerOptions & {
  readonly probeTimeout: number;
};

const inForce = new WeakMap<object, BreakerOptionsInForce>();
/** Those that were given: a change leaves what was left out at its default, which may follow another. */
const written = new WeakMap<object, CircuitBreakerOptions>();

/** Stands for no options at all, so that all breakers without any share one resolved object. */
export const NO_OPTIONS: CircuitBreakerOptions = Object.freeze({});

/**
 * Checks and completes a breaker's options. Frozen ones are remembered, so that a keyed family, and all
 * breakers without options, share one object.
 * @param before the options that these come after
 * @throws ResilienceConfigError naming every option that breaks its rule
 */
export function resolveBreakerOptions(
  name: unknown,
  options: unknown,
  before?: BreakerOptionsInForce,
): BreakerOptionsInForce {
  const known = inForce.get(options as object);
  if (known !== undefined && 'value' in text()(name)) return known;
  const issues = new Issues();
  if (!('value' in text()(name)))
    issues.add('circuitBreaker name', 'must be a non-empty string', name);
  const path = `circuitBreaker(${typeof name === 'string' ? name : '?'})`;
  const resolved = readOptions(circuitBreakerSchema, options, path, issues);
  if (before) requireFixed(before, resolved, path, issues);
  issues.throwIfAny();
  const { recoveryTimeout } = resolved;
  const fixed = Number(recoveryTimeout); // NaN for a function
  const { probeTimeout = fixed > 0 ? fixed : DEFAULT_RECOVERY } = resolved;
  const complete = Object.freeze({ ...resolved, probeTimeout });
  inForce.set(complete, complete);
  written.set(complete, givenOptions(options as object | undefined, resolved));
  if (options === NO_OPTIONS) inForce.set(NO_OPTIONS, complete);
  return complete;
}

/** Those of the options in force that somebody has written; the rest are this library's defaults. */
export function writtenOptions(options: ResolvedCircuitBreakerOptions): CircuitBreakerOptions {
  return written.get(options) ?? NO_OPTIONS;
}

/**
 * `options` with `changes`, of which an undefined one counts as absent.
 * @throws ResilienceConfigError naming every option that breaks its rule, or that cannot change
 */
export function changedOptions(
  name: string,
  options: BreakerOptionsInForce,
  changes: unknown,
): BreakerOptionsInForce {
  if (typeof changes !== 'object' || changes === null || Array.isArray(changes)) {
    return changes === undefined ? options : resolveBreakerOptions(name, changes); // which refuses it
  }
  const defined = Object.entries(changes).filter(([, value]) => value !== undefined);
  const merged = { ...written.get(options), ...Object.fromEntries(defined) };
  return resolveBreakerOptions(name, merged, options);
}
