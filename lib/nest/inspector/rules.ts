import {
  type ResolvedCircuitBreakerOptions,
  writtenOptions,
} from '../../core/circuit-breaker/options.js';
import { compileFilter } from '../../core/error-filter.js';
import { CircuitBreakerError } from '../../core/errors.js';
import { FallbackPolicy } from '../../core/fallback.js';
import type { Policy } from '../../core/policy.js';
import { delayAfter } from '../../core/retry/backoff.js';
import { RetryPolicy } from '../../core/retry/retry.js';
import { TimeLimitPolicy } from '../../core/time-limit.js';
import type { DefaultOptions } from '../named-options.js';
import { isShadow, longestWaits, worstCaseOf } from './worst-case.js';
import { withoutStack } from '../../core/without-stack.js';

/** What a rule finds at one place of a pipeline: why it is doubtful, and what to do. */
export interface Finding {
  readonly rule: string;
  readonly message: string;
}

/** What the policies of a method do not tell themselves. */
export interface Surroundings {
  /** Those of the interceptors around the method. */
  readonly interceptors: readonly Policy[];
  readonly defaults: DefaultOptions;
}

/** Looks at one policy: what stands around it, itself, and what stands inside. */
type Rule = (
  policy: Policy,
  inside: readonly Policy[],
  around: readonly Policy[],
  surroundings: Surroundings,
) => string | undefined;

const RULES: Readonly<Record<string, Rule>> = {
  'retry-names-open-circuit': (policy) =>
    policy instanceof RetryPolicy && retriesOpenCircuit(policy)
      ? 'the retry names CircuitBreakerError, so it waits for an open circuit instead of failing fast; leave it out of retryOn'
      : undefined,

  'retry-exceeds-time-limit': (policy, inside, around) => {
    const limit = nearestLimit(around);
    if (!(policy instanceof RetryPolicy) || limit === undefined) return undefined;
    const { duration } = worstCaseOf([policy, ...inside]);
    const least = duration ?? longestWaits(policy.options);
    return least > limit
      ? `its attempts and waits may take ${ms(least)}, more than the ${ms(limit)} limit around them; the last attempts may never run: lower maxAttempts, the delays or the limit of each attempt`
      : undefined;
  },

  'fallback-inside-retry': (policy, _inside, around) =>
    hidesFailures(policy) && around.some((outer) => outer instanceof RetryPolicy)
      ? 'the fallback answers before the retry sees a failure, so nothing is ever retried; move it above the retry'
      : undefined,

  'fallback-inside-breaker': (policy, inside) =>
    isBreaker(policy) && inside.some(hidesFailures)
      ? 'the fallback inside answers before the breaker sees a failure, so the circuit never opens; move it above the breaker'
      : undefined,

  'window-shorter-than-time-limit': (policy, inside) => {
    const limit = nearestLimit(inside);
    if (!isBreaker(policy) || limit === undefined) return undefined;
    const { window } = policy.options;
    return window.type === 'time' && window.duration < 2 * limit
      ? `its ${ms(window.duration)} window is shorter than twice the ${ms(limit)} time limit inside, so slow failures leave it before they add up; make the window longer`
      : undefined;
  },

  'threshold-never-met': (policy, inside) => {
    if (policy instanceof RetryPolicy) return retryNeverMet(policy);
    if (!isBreaker(policy)) return undefined;
    const { duration } = worstCaseOf(inside);
    const { window } = policy.options;
    const slow = window.type === 'consecutive' ? undefined : window.slowCallDuration;
    return slow !== undefined && duration !== undefined && slow >= duration
      ? `no call can be slower than ${ms(slow)} when what is inside takes at most ${ms(duration)}; lower slowCallDuration`
      : undefined;
  },

  'failure-threshold-without-effect': (policy, _inside, _around, { defaults }) => {
    if (!isBreaker(policy)) return undefined;
    const { failureThreshold, window } = policy.options;
    if (window.type === 'consecutive' || !isWrittenAtThePlace(policy, defaults)) return undefined;
    return `failureThreshold ${String(failureThreshold)} counts failures in a row, and its ${window.type} window looks at their share instead; leave failureThreshold out and set failureRate and minimumCalls of the window`;
  },

  'breaker-counts-twice': (policy, _inside, around, { interceptors }) =>
    isBreaker(policy) && [...interceptors, ...around].includes(policy)
      ? 'the same breaker stands further out around the method too, so it counts each call twice and opens after half as many failures; leave one of them out'
      : undefined,
};

/** Everything doubtful about a pipeline, outermost policy first. */
export function findingsOf(policies: readonly Policy[], surroundings: Surroundings): Finding[] {
  return policies.flatMap((policy, at) =>
    Object.entries(RULES).flatMap(([rule, check]) => {
      const why = check(policy, policies.slice(at + 1), policies.slice(0, at), surroundings);
      return why === undefined ? [] : [{ rule, message: `${policy.id}: ${why}` }];
    }),
  );
}

/** A breaker, or a keyed family of them. */
function isBreaker(policy: Policy): policy is Policy & { options: ResolvedCircuitBreakerOptions } {
  return policy.kind === 'circuitBreaker';
}

/** A fallback for errors of all kinds; one for chosen errors leaves the others to what stands around it. */
function hidesFailures(policy: Policy): boolean {
  if (!(policy instanceof FallbackPolicy)) return false;
  const { on } = policy.options;
  try {
    return on === undefined || compileFilter(on)(new Error('example'));
  } catch {
    return false; // a predicate for errors of another kind
  }
}

/** One of the application's defaults may be meant for breakers with another window. */
function isWrittenAtThePlace(
  { options }: { options: ResolvedCircuitBreakerOptions },
  { circuitBreaker }: DefaultOptions,
): boolean {
  const { failureThreshold } = writtenOptions(options);
  return failureThreshold !== undefined && failureThreshold !== circuitBreaker?.failureThreshold;
}

function retriesOpenCircuit(policy: RetryPolicy): boolean {
  if (policy.options.retryOn === undefined) return false;
  return policy.rules.decision.retriesError(withoutStack(() => new CircuitBreakerError('example')));
}

function retryNeverMet({ options }: RetryPolicy): string | undefined {
  const { maxAttempts, maxDuration, backoff } = options;
  if (maxAttempts === 1 || maxDuration === undefined || typeof backoff === 'function') {
    return undefined;
  }
  const shortest = delayAfter(options, { attempt: 1, random: () => 0 });
  return shortest > maxDuration
    ? `no wait of at least ${ms(shortest)} fits into maxDuration ${ms(maxDuration)}, so nothing is ever retried`
    : undefined;
}

function nearestLimit(policies: readonly Policy[]): number | undefined {
  const limits = policies
    .filter((policy) => policy instanceof TimeLimitPolicy)
    .filter((policy) => !isShadow(policy));
  return limits.length === 0 ? undefined : Math.min(...limits.map(({ options }) => options.limit));
}

function ms(duration: number): string {
  return `${String(Math.round(duration))} ms`;
}
