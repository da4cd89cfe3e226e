import { Brand } from './brand.js';
import { AbortError } from './cancellation.js';
import { oneLine } from './one-line.js';

/** Shared by every installed copy of the library, so that they recognise each other's errors. */
const BRAND = Symbol.for('nestjs-bulwark:error');

/** Where a circuit breaker stands. */
export const CircuitState = Object.freeze({
  CLOSED: 'closed',
  OPEN: 'open',
  HALF_OPEN: 'half_open',
  ISOLATED: 'isolated',
  DISABLED: 'disabled',
});
export type CircuitState = (typeof CircuitState)[keyof typeof CircuitState];

/** Why a retry gave up. */
export type RetryExhaustedReason = 'attempts' | 'duration' | 'budget' | 'deadline';

/** What every error of this library extends. `code` tells the classes apart across copies. */
export abstract class ResilienceError extends Error {
  declare readonly code: string;

  constructor(message?: string, options?: ErrorOptions) {
    super(message, options);
    // The instance's own, as of Node's errors: JSON, logs and copies show it.
    const code = brandOf(this);
    if (typeof code === 'string') this.code = code;
  }

  /** `instanceof ResilienceError` holds for the errors of another installed copy too. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    if (this === ResilienceError) return brandOf(value) !== undefined;
    return Function.prototype[Symbol.hasInstance].call(this, value);
  }
}

/** A call turned away before its work started. */
export abstract class RejectedError extends ResilienceError {}

/** The circuit is open (or probing, or isolated): the call was not made. */
export class CircuitBreakerError extends RejectedError {
  declare readonly code: 'CIRCUIT_OPEN';
  readonly breakerName: string;
  readonly state: CircuitState;
  /** Milliseconds until a probe is let through; absent when not known. */
  readonly remainingTimeout?: number;

  constructor(
    breakerName: string,
    { state = CircuitState.OPEN, remainingTimeout }: CircuitRejection = {},
  ) {
    super(circuitMessage(breakerName, state, remainingTimeout));
    this.breakerName = breakerName;
    this.state = state;
    if (remainingTimeout !== undefined) this.remainingTimeout = remainingTimeout;
  }

  /** The same as `remainingTimeout`, under the name that retries and HTTP know. */
  get retryAfter(): number | undefined {
    return this.remainingTimeout;
  }
}

/** What a CircuitBreakerError says beside the name: `state` is `OPEN` by default, `remainingTimeout` is in ms. */
export interface CircuitRejection {
  state?: CircuitState | undefined;
  remainingTimeout?: number | undefined;
}

function circuitMessage(name: string, state: CircuitState, remaining?: number): string {
  if (state === CircuitState.CLOSED)
    return `Circuit breaker "${oneLine(name)}" is closed and ramping up`;
  const when = remaining === undefined ? '' : `; try again in ${String(Math.ceil(remaining))} ms`;
  return `Circuit breaker "${oneLine(name)}" is ${state}${when}`;
}

/** Every attempt failed, or none more was allowed. `cause` is the last error. */
export class RetryExhaustedError extends ResilienceError {
  declare readonly code: 'RETRY_EXHAUSTED';
  readonly attempts: number;
  /** The same as `cause`; like it, not shown by JSON and logs. */
  declare readonly lastException: unknown;
  readonly reason: RetryExhaustedReason;

  constructor(details: {
    attempts: number;
    lastException: unknown;
    reason?: RetryExhaustedReason | undefined;
  }) {
    const { attempts, lastException, reason = 'attempts' } = details;
    super(`Gave up after ${String(attempts)} attempt${attempts === 1 ? '' : 's'} (${reason})`, {
      cause: lastException,
    });
    this.attempts = attempts;
    Object.defineProperty(this, 'lastException', { value: lastException, configurable: true });
    this.reason = reason;
  }
}

/** The time limit ran out. The work was told through its signal and may still be running. */
export class TimeoutError extends ResilienceError {
  declare readonly code: 'TIMEOUT';

  /** @param timeout the limit, in milliseconds */
  constructor(readonly timeout: number) {
    super(`Timed out after ${String(timeout)} ms`);
  }
}

/**
 * A limit that the caller set for itself (a deadline header): an answer to the caller like any time-out,
 * but to a breaker as much as an abort, or one impatient caller could open a circuit for all.
 */
export class CallerTimeoutError extends TimeoutError {}
const callerTimeout = new Brand<CallerTimeoutError>('caller-timeout');
callerTimeout.put(CallerTimeoutError);

/** Every slot of the bulkhead, and its queue, was taken. */
export class BulkheadRejectedError extends RejectedError {
  declare readonly code: 'BULKHEAD_FULL';

  constructor(readonly bulkheadName: string) {
    super(`Bulkhead "${oneLine(bulkheadName)}" is full`);
  }
}

/** The rate limiter had no token within the allowed wait. */
export class RateLimitedError extends RejectedError {
  declare readonly code: 'RATE_LIMITED';
  /** Milliseconds until a token is there. */
  readonly retryAfter: number;

  constructor(
    readonly limiterName: string,
    { retryAfter }: { retryAfter: number },
  ) {
    super(
      `Rate limit "${oneLine(limiterName)}" reached; try again in ${String(Math.ceil(retryAfter))} ms`,
    );
    this.retryAfter = retryAfter;
  }
}

/** Too few of the latest calls were accepted: this one was not made, to spare the dependency. */
export class ThrottledError extends RejectedError {
  declare readonly code: 'THROTTLED';

  constructor(readonly throttleName: string) {
    super(`Client throttle "${oneLine(throttleName)}" holds calls back: too few are accepted`);
  }
}

/** Options that break their rules; every problem at once. */
export class ResilienceConfigError extends ResilienceError {
  declare readonly code: 'INVALID_CONFIG';

  readonly issues: readonly string[];

  constructor(issues: readonly string[]) {
    const lines = issues.map(oneLine);
    super(`Invalid resilience configuration:\n${lines.map((line) => `  - ${line}`).join('\n')}`);
    this.issues = lines;
  }
}

interface ErrorsByCode {
  CIRCUIT_OPEN: CircuitBreakerError;
  RETRY_EXHAUSTED: RetryExhaustedError;
  TIMEOUT: TimeoutError;
  BULKHEAD_FULL: BulkheadRejectedError;
  RATE_LIMITED: RateLimitedError;
  THROTTLED: ThrottledError;
  INVALID_CONFIG: ResilienceConfigError;
}
/** The `code` of an error of this library: `'CIRCUIT_OPEN'`, `'TIMEOUT'` and the like. */
export type ResilienceErrorCode = keyof ErrorsByCode;

// On the prototypes, where a minifier cannot change them.
for (const [type, name, code] of [
  [CircuitBreakerError, 'CircuitBreakerError', 'CIRCUIT_OPEN'],
  [RetryExhaustedError, 'RetryExhaustedError', 'RETRY_EXHAUSTED'],
  [TimeoutError, 'TimeoutError', 'TIMEOUT'],
  [BulkheadRejectedError, 'BulkheadRejectedError', 'BULKHEAD_FULL'],
  [RateLimitedError, 'RateLimitedError', 'RATE_LIMITED'],
  [ThrottledError, 'ThrottledError', 'THROTTLED'],
  [ResilienceConfigError, 'ResilienceConfigError', 'INVALID_CONFIG'],
] as const) {
  Object.defineProperty(type.prototype, 'name', {
    value: name,
    writable: true,
    configurable: true,
  });
  Object.defineProperty(type.prototype, BRAND, { value: code });
}
/** An AbortError is no failure, and has a brand of its own. */
const ownAbort = new Brand<AbortError>('abort');
ownAbort.put(AbortError);

/** Whether `error` comes from this library, or from another installed copy of it; of `code`, where given. */
export function isResilienceError<C extends ResilienceErrorCode = ResilienceErrorCode>(
  error: unknown,
  code?: C,
): error is ErrorsByCode[C] {
  const brand = brandOf(error);
  return brand !== undefined && (code === undefined || brand === code);
}

const REJECTIONS: ReadonlySet<unknown> = new Set<ResilienceErrorCode>([
  'CIRCUIT_OPEN',
  'BULKHEAD_FULL',
  'RATE_LIMITED',
  'THROTTLED',
]);

/** Circuit open, bulkhead full, ...: a local answer that says nothing about the dependency. */
export function isRejection(error: unknown): boolean {
  return REJECTIONS.has(brandOf(error));
}

/** Whether `error` is an AbortError of this library, or of another installed copy of it. */
export function isOwnAbort(error: unknown): boolean {
  return ownAbort.isOn(error);
}

function brandOf(error: unknown): unknown {
  try {
    return (error as { [BRAND]?: unknown } | null | undefined)?.[BRAND];
  } catch {
    // A hostile Proxy is not one of ours.
  }
  return undefined;
}

export function isCallerTimeout(error: unknown): boolean {
  return callerTimeout.isOn(error);
}
