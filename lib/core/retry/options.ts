import type { Duration } from '../duration.js';
import { type ErrorFilter, errorFilter } from '../error-filter.js';
import {
  type Schema,
  boolean,
  callback,
  duration,
  either,
  integer,
  number,
  oneOf,
  predicate,
  returning,
} from '../validation.js';
import { type RetryBudget, budgetRule } from './retry-budget.js';
import { type TimingsMode, timingsField } from '../timings.js';

/** How the delays grow before jitter: `attempt` is 1-based, the one that just failed. */
export type BackoffKind = 'exponential' | 'constant' | 'linear' | 'fibonacci';
/**
 * Works out each delay by itself: `attempt` is 1-based, the one that just failed with `error`. Jitter and
 * `maxDelay` apply to what it returns. Where it throws, or returns no duration, that is logged and the
 * retries end with the original error.
 *
 * @example
 * const quadratic: BackoffFunction = (attempt) => 50 * attempt ** 2;
 */
export type BackoffFunction = (attempt: number, error: unknown) => Duration;
/** A fraction spreads each delay by that much both ways; the kinds are those of the AWS builders' library. */
export type Jitter = number | 'full' | 'equal' | 'decorrelated';

/** How to try again. Every option may be left out. */
export interface RetryOptions {
  /** Attempts in all, the first included. Default 3. */
  maxAttempts?: number | undefined;
  /** Before the first retry. Default 100 ms. */
  baseDelay?: Duration | undefined;
  /** No delay exceeds it, jitter included. Default 60 s. */
  maxDelay?: Duration | undefined;
  /** Growth of exponential delays. Default 2. */
  exponentialBase?: number | undefined;
  /** Default 0.1: each delay is multiplied by uniform(0.9, 1.1). */
  jitter?: Jitter | undefined;
  /** Default `'exponential'`. Jitter and cap apply to all, a function's delays included. */
  backoff?: BackoffKind | BackoffFunction | undefined;
  /** Default: any error but our own rejections, exhausted retries and aborts; those only where named. */
  retryOn?: ErrorFilter | undefined;
  /** Never retried; wins over `retryOn`. */
  abortOn?: ErrorFilter | undefined;
  /** A returned value that is worth another attempt. */
  // `any`: the value's type is the protected function's.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  retryOnResult?: ((value: any) => boolean) | undefined;
  /** Before each wait: the 1-based attempt that failed, its error, and the wait in milliseconds. */
  onRetry?: ((attempt: number, exception: unknown, delay: number) => void) | undefined;
  /** No wait is begun that would end later than this after the first attempt began. */
  maxDuration?: Duration | undefined;
  /** Whether an error's `retryAfter` or `retry-after` header sets the least wait. Default true. */
  respectRetryAfter?: boolean | undefined;
  /** Record how long calls take: `'off'`, `'sampled'` (one in 17) or `'all'`. Default `'off'`. */
  timings?: TimingsMode | undefined;
  /** A budget shared with other retries and hedges; a name is the application's. */
  budget?: RetryBudget | string | undefined;
}

/** The options in force: every default filled in, durations in milliseconds. */
export interface ResolvedRetryOptions {
  readonly maxAttempts: number;
  readonly baseDelay: number;
  readonly maxDelay: number;
  readonly exponentialBase: number;
  readonly jitter: Jitter;
  readonly backoff: BackoffKind | BackoffFunction;
  readonly retryOn: ErrorFilter | undefined;
  readonly abortOn: ErrorFilter | undefined;
  readonly retryOnResult: ((value: unknown) => boolean) | undefined;
  readonly onRetry: ((attempt: number, exception: unknown, delay: number) => void) | undefined;
  readonly maxDuration: number | undefined;
  readonly respectRetryAfter: boolean;
  readonly timings: TimingsMode | undefined;
  readonly budget: RetryBudget | string | undefined;
}

export const retrySchema: Schema<ResolvedRetryOptions> = {
  maxAttempts: { rule: integer(1), default: 3 },
  baseDelay: { rule: duration(), default: 100 },
  maxDelay: { rule: duration(), default: 60_000 },
  exponentialBase: { rule: number({ min: 1 }), default: 2 },
  jitter: {
    rule: either(number({ min: 0, max: 1 }), oneOf('full', 'equal', 'decorrelated')),
    default: 0.1,
  },
  backoff: {
    rule: either(
      oneOf('exponential', 'constant', 'linear', 'fibonacci'),
      returning<BackoffFunction>('a duration'),
    ),
    default: 'exponential',
  },
  retryOn: { rule: errorFilter(), default: undefined },
  abortOn: { rule: errorFilter(), default: undefined },
  retryOnResult: { rule: predicate(), default: undefined },
  onRetry: { rule: callback(), default: undefined },
  maxDuration: { rule: duration(), default: undefined },
  respectRetryAfter: { rule: boolean(), default: true },
  timings: timingsField,
  budget: { rule: budgetRule, default: undefined },
};
