import type { Policy } from '../../core/policy.js';
import { BulkheadPolicy } from '../../core/bulkhead/bulkhead.js';
import { FallbackPolicy } from '../../core/fallback.js';
import { HedgePolicy } from '../../core/hedge/hedge.js';
import { RateLimitPolicy } from '../../core/rate-limiter/rate-limiter.js';
import { delayAfter } from '../../core/retry/backoff.js';
import { RetryPolicy } from '../../core/retry/retry.js';
import { TimeLimitPolicy } from '../../core/time-limit.js';

/** The most that one call may cost. */
export interface WorstCase {
  /** Milliseconds until the caller is answered; `undefined` where nothing bounds it. */
  readonly duration: number | undefined;
  /** Calls of the method itself, and so of what it calls. */
  readonly calls: number;
  /** Every failure is a rejection, an exhausted retry or an abort, which a retry repeats only where it names them. */
  readonly isFinal: boolean;
}

const ONE_CALL: WorstCase = { duration: undefined, calls: 1, isFinal: false };
/** What adds nothing but rejections of its own to the failures inside. */
const GATES = new Set<string>(['circuitBreaker', 'clientThrottle', 'adaptiveLimit']);

/** Works outwards from the method; `policies` stand outermost first. */
export function worstCaseOf(policies: readonly Policy[]): WorstCase {
  return policies.reduceRight((inner, policy) => around(policy, inner), ONE_CALL);
}

/** Decides nothing: what it would limit is unlimited. */
export function isShadow({ options }: Policy): boolean {
  return (options as { mode?: unknown }).mode === 'shadow';
}

function around(policy: Policy, inner: WorstCase): WorstCase {
  if (isShadow(policy)) return inner;
  if (policy instanceof TimeLimitPolicy) {
    const duration = Math.min(policy.options.limit, inner.duration ?? Infinity);
    return { ...inner, duration, isFinal: false };
  }
  // Its handler begins when everything inside has failed, and nothing says how long it takes.
  if (policy instanceof FallbackPolicy) return { ...inner, duration: undefined, isFinal: false };
  if (policy instanceof RetryPolicy) return aroundRetry(policy, inner);
  if (policy instanceof HedgePolicy) return aroundHedge(policy, inner);
  if (policy instanceof RateLimitPolicy) return later(inner, policy.options.maxWait);
  if (policy instanceof BulkheadPolicy) {
    const { maxQueue, queueTimeout } = policy.options;
    return later(inner, maxQueue === 0 ? 0 : queueTimeout);
  }
  return GATES.has(policy.kind) ? inner : { ...inner, isFinal: false };
}

function aroundRetry({ options }: RetryPolicy, inner: WorstCase): WorstCase {
  const { maxAttempts, maxDuration } = options;
  if (inner.isFinal && repeatsByDefault(options)) return inner; // retries do not multiply
  const isFinal = failsByDefault(options);
  const calls = inner.calls * maxAttempts;
  if (inner.duration === undefined) return { duration: undefined, calls, isFinal };
  const unhurried = maxAttempts * inner.duration + longestWaits(options);
  // No wait ends past maxDuration; the attempt after it may take as long as any.
  const duration =
    maxDuration === undefined ? unhurried : Math.min(unhurried, maxDuration + inner.duration);
  return { duration, calls, isFinal };
}

function repeatsByDefault({ retryOn, retryOnResult }: RetryPolicy['options']): boolean {
  return retryOn === undefined && retryOnResult === undefined;
}

/** It passes no error of the work on as it is: none is not retried, and no wait is unknown. */
function failsByDefault({ retryOn, abortOn, backoff }: RetryPolicy['options']): boolean {
  return retryOn === undefined && abortOn === undefined && typeof backoff !== 'function';
}

/** All waits of a retry together, at their longest, in milliseconds: none ends past maxDuration. */
export function longestWaits(options: RetryPolicy['options']): number {
  return Math.min(sumOfWaits(options), options.maxDuration ?? Infinity);
}

function sumOfWaits(options: RetryPolicy['options']): number {
  const { maxAttempts, backoff, maxDelay } = options;
  const almostOne = (): number => 1 - Number.EPSILON;
  let previousDelay = options.baseDelay;
  let total = 0;
  for (let attempt = 1; attempt < maxAttempts; attempt++) {
    // A function of one's own may give anything up to the cap.
    const delay =
      typeof backoff === 'function'
        ? maxDelay
        : delayAfter(options, { attempt, previousDelay, random: almostOne });
    // Once it has stopped growing it stays: attempts may be without end. The first two of Fibonacci are one.
    if (attempt > 2 && delay === previousDelay) return total + (maxAttempts - attempt) * delay;
    previousDelay = delay;
    total += delay;
  }
  return total;
}

function aroundHedge(policy: HedgePolicy, inner: WorstCase): WorstCase {
  const { maxHedges, delay, budget } = policy.options;
  const { duration } = inner;
  const calls = inner.calls * (maxHedges + 1);
  if (duration === undefined) return { ...inner, calls };
  // The next try begins after the delay, or before when all have failed. A quantile may not be known
  // yet, and a budget may have nothing left when the delay is over: then it waits for the failure.
  const isCertain = typeof delay === 'number' && budget === undefined;
  const gap = isCertain ? Math.min(delay, duration) : duration;
  return { ...inner, duration: maxHedges * gap + duration, calls };
}

function later(inner: WorstCase, wait: number | undefined): WorstCase {
  const { duration } = inner;
  const known = duration !== undefined && wait !== undefined;
  return { ...inner, duration: known ? duration + wait : undefined };
}
