import { Policy, type PolicySetting, type PolicySnapshot, type Stage } from '../policy.js';
import { runtimeWith } from '../runtime.js';
import { Issues, readOptions } from '../validation.js';
import { type AdaptiveLimitOutcome, AdaptiveLimiter } from './limiter.js';
import {
  type AdaptiveLimitOptions,
  type ResolvedAdaptiveLimitOptions,
  adaptiveLimitSchema,
  withLimitsInOrder,
} from './options.js';

/** What an adaptive limit has done and where it stands: counters only go up, durations are in ms. */
export interface AdaptiveLimitSnapshot extends PolicySnapshot {
  readonly calls: Readonly<Record<AdaptiveLimitOutcome, number>>;
  /** Calls that may run at once now; while probing, fewer than the estimate allows. */
  readonly limit: number;
  /** Slots taken now, by calls and by work that outlived its caller. */
  readonly inUse: number;
  /** Mean latency of the last window, in milliseconds; `undefined` until one is over. */
  readonly shortRtt: number | undefined;
  /** Latency without load, as estimated, in milliseconds; `undefined` until a window is over. */
  readonly longRtt: number | undefined;
  /** Whether the limit is lowered for a moment to measure the latency without load. */
  readonly probing: boolean;
}

/** Keeps as many calls running as the dependency can work on. Made by `adaptiveLimit()`. */
export class AdaptiveLimitPolicy extends Policy {
  readonly kind = 'adaptiveLimit';
  readonly name: string;
  readonly options: ResolvedAdaptiveLimitOptions;
  readonly #limiter: AdaptiveLimiter;

  constructor(options?: AdaptiveLimitOptions, setting: PolicySetting = {}) {
    super(setting);
    const { name = 'adaptiveLimit', runtime } = setting;
    const path = `adaptiveLimit(${name})`;
    const issues = new Issues();
    const read = readOptions(adaptiveLimitSchema, options, path, issues);
    this.options = withLimitsInOrder(read, path, issues);
    issues.throwIfAny();
    this.name = this.options.name ?? name;
    this.#limiter = new AdaptiveLimiter(this.name, this.options, runtimeWith(runtime));
  }

  stages(): [Stage] {
    return [this.#limiter];
  }

  snapshot(): AdaptiveLimitSnapshot {
    const { id, kind, name, options } = this;
    const { calls, limit, inUse, probing, gradient } = this.#limiter;
    const { shortRtt, longRtt } = gradient;
    return {
      id,
      kind,
      name,
      options,
      calls: { ...calls },
      limit,
      inUse,
      shortRtt,
      longRtt,
      probing,
    };
  }
}

/**
 * A bulkhead that finds its own size: the limit falls as soon as calls take longer than they do without
 * load, or are dropped, and grows while it is in use and latency stays low. It settles a little above the
 * number of calls that the dependency works on at once. A call holds its slot until its work has settled.
 *
 * Twice a minute, while it is in full use, it halves the limit for a moment to see how fast the dependency is
 * without load. It keeps the kind of the function's result.
 *
 * @see Netflix concurrency-limits, Gradient2Limit, https://github.com/Netflix/concurrency-limits
 * @example
 * const search = adaptiveLimit({ initialLimit: 20, maxLimit: 200 });
 * const hits = await search.execute(({ signal }) => fetch(url, { signal }));
 * @throws ResilienceConfigError naming every option that breaks its rule; a call for which there is no room
 *   gets a BulkheadRejectedError
 */
export function adaptiveLimit(
  options?: AdaptiveLimitOptions,
  setting?: PolicySetting,
): AdaptiveLimitPolicy {
  return new AdaptiveLimitPolicy(options, setting);
}
