import { LatencyHistogram } from '../latency-histogram.js';
import { rankOf } from './options.js';

const LEAST_SAMPLES = 20;
const MOST_SAMPLES = 1000;
/** Samples between two looks at the whole histogram. */
const STALE = 16;

/** How long a hedge waits. */
export interface HedgeDelay {
  /** Milliseconds; `undefined` while it is not known. */
  readonly current: number | undefined;
  /** A try took this many milliseconds to answer, or so many had gone by when it was given up. */
  observe?(elapsed: number): void;
}

export function hedgeDelay(delay: number | string): HedgeDelay {
  return typeof delay === 'number' ? { current: delay } : new QuantileDelay(rankOf(delay));
}

/**
 * Follows a quantile of the latencies. Tries that lost count with the time that they had run: without
 * them only fast answers would be seen, and hedges would come ever earlier.
 * @see Dean and Barroso, "The Tail at Scale", CACM 56 (2013) 2
 */
class QuantileDelay implements HedgeDelay {
  current: number | undefined;
  readonly #seen = new LatencyHistogram();
  #unread = 0;

  constructor(private readonly rank: number) {}

  observe(elapsed: number): void {
    this.#seen.record(elapsed);
    this.#unread++;
    if (this.#seen.total < LEAST_SAMPLES) return;
    if (this.current !== undefined && this.#unread < STALE) return;
    this.#unread = 0;
    this.current = this.#seen.quantile(this.rank);
    if (this.#seen.total >= MOST_SAMPLES) this.#seen.halve();
  }
}
