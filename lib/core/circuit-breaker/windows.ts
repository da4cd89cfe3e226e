import type { Clock } from '../runtime.js';
import type { ResolvedCountWindow, ResolvedTimeWindow, ResolvedWindow } from './window-options.js';

/** Why a window says that the circuit should open: the rule, and the numbers it compared. */
export interface Trip {
  readonly rule: 'consecutive_failures' | 'failure_rate' | 'slow_call_rate';
  readonly figures: Readonly<Record<string, number>>;
}

/**
 * Decides from the completed calls of one closed period whether the circuit should open. It is asked
 * after successes too: the one that brings the number of calls to the minimum may tell.
 */
export interface FailureWindow {
  succeeded(slow: boolean): Trip | undefined;
  /** @param failures in a row, this one included */
  failed(slow: boolean, failures: number): Trip | undefined;
  /** This window under other options, where it has counted more than failures in a row and can keep that. */
  refit?(window: ResolvedWindow): FailureWindow | undefined;
}

/** The window of one closed period. */
export function makeWindow(
  window: ResolvedWindow,
  failureThreshold: number,
  clock: Clock,
): FailureWindow {
  switch (window.type) {
    case 'consecutive':
      return new ConsecutiveWindow(failureThreshold);
    case 'count':
      return new RateWindow(window, new CountRing(window.size));
    case 'time':
      return new RateWindow(window, new TimeRing(window.duration, clock));
  }
}

/** So many failures in a row. It reads no clock and keeps nothing, so that one serves a whole family. */
class ConsecutiveWindow implements FailureWindow {
  constructor(private readonly failureThreshold: number) {}

  succeeded(): undefined {
    return undefined;
  }

  failed(_slow: boolean, failures: number): Trip | undefined {
    const { failureThreshold } = this;
    if (failures < failureThreshold) return undefined;
    return { rule: 'consecutive_failures', figures: { failures, failureThreshold } };
  }
}

/** What is in a window now. */
interface Tally {
  calls: number;
  failed: number;
  slow: number;
}

/** Keeps what is still in the window, in fixed memory. */
interface Ring {
  readonly tally: Readonly<Tally>;
  add(failed: boolean, slow: boolean): void;
  /** Whether it can serve this window as it is. */
  fits(window: ResolvedWindow): boolean;
}

/** A share of failed, or of slow, calls among the latest. */
class RateWindow implements FailureWindow {
  constructor(
    private readonly options: ResolvedCountWindow | ResolvedTimeWindow,
    private readonly ring: Ring,
  ) {}

  succeeded(slow: boolean): Trip | undefined {
    return this.#record(false, slow);
  }

  failed(slow: boolean): Trip | undefined {
    return this.#record(true, slow);
  }

  #record(failed: boolean, slow: boolean): Trip | undefined {
    this.ring.add(failed, slow);
    const { calls, failed: failures, slow: slowCalls } = this.ring.tally;
    const { minimumCalls, failureRate, slowCallRate } = this.options;
    if (calls < minimumCalls) return undefined;
    // Divided, not multiplied: 7 of 100 is 0.07, but 0.07 * 100 is more than 7.
    if (failures / calls >= failureRate) {
      return { rule: 'failure_rate', figures: { calls, failures, failureRate } };
    }
    if (slowCallRate === undefined || slowCalls / calls < slowCallRate) return undefined;
    return { rule: 'slow_call_rate', figures: { calls, slowCalls, slowCallRate } };
  }

  refit(window: ResolvedWindow): FailureWindow | undefined {
    if (!this.ring.fits(window)) return undefined;
    return new RateWindow(window as ResolvedCountWindow | ResolvedTimeWindow, this.ring);
  }
}

const FAILED = 1;
const SLOW = 2;

/** The last `size` calls, one cell each. */
class CountRing implements Ring {
  readonly tally: Tally = { calls: 0, failed: 0, slow: 0 };
  readonly #cells: Int32Array;
  #next = 0;

  constructor(private readonly size: number) {
    this.#cells = new Int32Array(size);
  }

  add(failed: boolean, slow: boolean): void {
    const { tally } = this;
    if (tally.calls === this.size) this.#forget(this.#cells[this.#next] as number);
    else tally.calls++;
    this.#cells[this.#next] = (failed ? FAILED : 0) | (slow ? SLOW : 0);
    this.#next = this.#next + 1 === this.size ? 0 : this.#next + 1;
    if (failed) tally.failed++;
    if (slow) tally.slow++;
  }

  fits(window: ResolvedWindow): boolean {
    return (window as Partial<ResolvedCountWindow>).size === this.size;
  }

  #forget(cell: number): void {
    if (cell & FAILED) this.tally.failed--;
    if (cell & SLOW) this.tally.slow--;
  }
}

/** A time window moves on in steps of a tenth of its duration. */
export const BUCKETS = 10;
const COLUMNS = 3;

/** The calls of the last ten buckets: three counters each. */
class TimeRing implements Ring {
  readonly tally: Tally = { calls: 0, failed: 0, slow: 0 };
  readonly #cells = new Int32Array(BUCKETS * COLUMNS);
  #bucket = 0;
  /** When the present bucket is over: most calls fall into it and need no division. */
  #ends = 0;

  constructor(
    private readonly duration: number,
    private readonly clock: Clock,
  ) {}

  add(failed: boolean, slow: boolean): void {
    const now = this.clock.now();
    if (now >= this.#ends) this.#rotate(now);
    const { tally } = this;
    const at = (this.#bucket % BUCKETS) * COLUMNS;
    this.#count(at);
    tally.calls++;
    if (failed) {
      this.#count(at + 1);
      tally.failed++;
    }
    if (slow) {
      this.#count(at + 2);
      tally.slow++;
    }
  }

  #count(at: number): void {
    this.#cells[at] = (this.#cells[at] as number) + 1;
  }

  fits(window: ResolvedWindow): boolean {
    return (window as Partial<ResolvedTimeWindow>).duration === this.duration;
  }

  /** Forgets every bucket that has gone by; after a long idle time that is all of them. */
  #rotate(now: number): void {
    const bucket = Math.floor((now * BUCKETS) / this.duration);
    const gone = Math.min(bucket - this.#bucket, BUCKETS);
    for (let step = 1; step <= gone; step++) this.#forget((this.#bucket + step) % BUCKETS);
    this.#bucket = bucket;
    this.#ends = ((bucket + 1) * this.duration) / BUCKETS;
  }

  #forget(bucket: number): void {
    const at = bucket * COLUMNS;
    const { tally } = this;
    tally.calls -= this.#cells[at] as number;
    tally.failed -= this.#cells[at + 1] as number;
    tally.slow -= this.#cells[at + 2] as number;
    this.#cells.fill(0, at, at + COLUMNS);
  }
}
