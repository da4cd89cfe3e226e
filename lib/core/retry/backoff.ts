import { parseDuration } from '../duration.js';
import { decided } from '../thenable.js';
import type { ResolvedRetryOptions } from './options.js';

type Timing = Pick<
  ResolvedRetryOptions,
  'baseDelay' | 'maxDelay' | 'exponentialBase' | 'jitter' | 'backoff'
>;

/** What a delay is computed from. */
export interface BackoffInput {
  /** 1-based; the attempt that just failed. */
  readonly attempt: number;
  readonly error?: unknown;
  /** The delay before that attempt; `baseDelay` before the first. */
  readonly previousDelay?: number;
  readonly random: () => number;
}

/** The jittered delay in milliseconds after a failed attempt; never above `maxDelay`. */
export function delayAfter(timing: Timing, input: BackoffInput): number {
  const { jitter, baseDelay, maxDelay } = timing;
  const { random, previousDelay = baseDelay } = input;
  if (jitter === 'decorrelated') {
    // Capped before the draw: capping the result would bring most of a herd back in one instant.
    const most = Math.min(maxDelay, Math.max(baseDelay, previousDelay * 3));
    const least = Math.min(baseDelay, most);
    return Math.min(most, least + random() * (most - least));
  }
  const grown = plainDelay(timing, input);
  if (jitter === 'full') return random() * Math.min(maxDelay, grown);
  if (jitter === 'equal') return (Math.min(maxDelay, grown) * (1 + random())) / 2;
  // The cap leaves room for the jitter: a herd capped to one instant would come back together.
  const capped = Math.min(grown, maxDelay / (1 + jitter));
  return Math.min(maxDelay, capped * (1 - jitter + 2 * jitter * random()));
}

/** Before cap and jitter. */
function plainDelay(timing: Timing, { attempt, error }: BackoffInput): number {
  const { baseDelay, backoff, exponentialBase } = timing;
  if (typeof backoff === 'function') return customDelay(decided(backoff(attempt, error)));
  if (baseDelay === 0) return 0; // whatever it grows by: nothing times infinity is no number
  switch (backoff) {
    case 'constant':
      return baseDelay;
    case 'linear':
      return baseDelay * attempt;
    case 'fibonacci':
      return baseDelay * fibonacci(attempt);
    case 'exponential':
      return baseDelay * exponentialBase ** (attempt - 1);
  }
}

function customDelay(given: unknown): number {
  const delay = parseDuration(given);
  if (delay === undefined || delay < 0) {
    throw new RangeError(
      `backoff must return a duration that is not negative, got ${String(given)}`,
    );
  }
  return delay;
}

/** 1, 1, 2, 3, 5, ... in closed form (Binet), exact far beyond any cap. */
function fibonacci(n: number): number {
  const golden = (1 + Math.sqrt(5)) / 2;
  return Math.round(golden ** n / Math.sqrt(5));
}
