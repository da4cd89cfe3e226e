import { ROUNDING } from '../timed-queue.js';

/**
 * A token bucket without a timer: instead of counting tokens up it keeps the one instant at which it
 * will be full again, and each token taken moves that on by the time a token needs.
 * @see the virtual scheduling algorithm in ITU-T I.371, known as GCRA
 */
export class TokenBucket {
  /** Milliseconds in which one token comes. */
  readonly perToken: number;
  #fullAt = -Infinity;

  constructor(
    limit: number,
    interval: number,
    private readonly burst: number,
  ) {
    this.perToken = interval / limit;
  }

  /** When a token is or was there. */
  get nextAt(): number {
    return this.#fullAt - (this.burst - 1) * this.perToken;
  }

  /** Takes a token; false when there is none at `now`. */
  take(now: number): boolean {
    if (this.nextAt > now + ROUNDING) return false;
    this.#fullAt = Math.max(this.#fullAt, now) + this.perToken;
    return true;
  }

  tokensAt(now: number): number {
    return this.burst - Math.max(0, this.#fullAt - now) / this.perToken;
  }
}
