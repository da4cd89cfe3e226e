import type { ResolvedAdaptiveLimitOptions } from './options.js';
import type { WindowSample } from './sampling-window.js';

/** A single window never takes away more than half (before smoothing): it may be an outlier. */
const STEEPEST = 0.5;
/** How much of a window's latency the long-term one takes on. */
const DRIFT = 0.1;

/**
 * The limit as a function of what was measured. Each window gives a gradient, the unloaded latency over the
 * present one, and the limit becomes `limit x gradient + queueSize`, smoothed. With full use of a dependency
 * that works on C calls at once it settles near `tolerance x C + queueSize`.
 * @see Netflix concurrency-limits, Gradient2Limit, for the formula, its bounds and the rule that only a limit
 *   in use changes, https://github.com/Netflix/concurrency-limits
 */
export class Gradient {
  #estimate: number;
  /** Of the last window, in milliseconds. */
  shortRtt: number | undefined;
  /** Without load, as far as is known, in milliseconds. */
  longRtt: number | undefined;

  constructor(
    private readonly options: ResolvedAdaptiveLimitOptions,
    private readonly queueSize: (limit: number) => number,
  ) {
    this.#estimate = options.initialLimit;
  }

  /** Whole calls. */
  get limit(): number {
    return Math.floor(this.#estimate);
  }

  /** Takes in one window; whether the limit was in use, without which it does not grow. */
  update(sample: WindowSample): boolean {
    const used = sample.busiest >= this.#estimate / 2;
    if (sample.rtt !== undefined) this.#measure(sample.rtt, used);
    const { dropShare } = sample;
    if (!used && dropShare === 0) return false;
    const gradient = Math.max(STEEPEST, Math.min(this.#latencyGradient(), 1 - dropShare));
    const allowance = used ? this.queueSize(this.#estimate) * (1 - dropShare) : 0;
    this.#moveTowards(this.#estimate * gradient + allowance);
    return used;
  }

  /** Below 1 where calls take longer than they do without load. */
  #latencyGradient(): number {
    const { longRtt, shortRtt } = this;
    if (longRtt === undefined || !shortRtt) return 1;
    return Math.min(1, (this.options.tolerance * longRtt) / shortRtt);
  }

  /** Under load it says nothing of the unloaded latency, unless it is clearly lower than that. */
  #measure(rtt: number, used: boolean): void {
    this.shortRtt = rtt;
    const { longRtt } = this;
    if (longRtt === undefined) this.longRtt = rtt;
    else if (!used || this.isClearlyBelow(rtt, longRtt))
      this.longRtt = longRtt + DRIFT * (rtt - longRtt);
  }

  isClearlyBelow(rtt: number, other: number): boolean {
    return rtt * this.options.tolerance < other;
  }

  #moveTowards(target: number): void {
    const { smoothing, minLimit, maxLimit } = this.options;
    const moved = this.#estimate + smoothing * (target - this.#estimate);
    this.#estimate = Math.max(minLimit, Math.min(maxLimit, moved));
  }
}
