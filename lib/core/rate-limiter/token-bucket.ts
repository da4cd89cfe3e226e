import { ROUNDING } from '../timed-queue.js';

/** What a bucket is made from. */
export interface BucketOptions {
  /** Tokens that come in each interval. */
  readonly limit: number;
  /** Milliseconds. */
  readonly interval: number;
  /** Tokens that it holds at most. */
  readonly burst: number;
}

/**
 * A token bucket without a timer: instead of counting tokens up it keeps the one instant at which it
 * will be full again, and each token taken moves that on by the time a token needs.
 * @see the virtual scheduling algorithm in ITU-T I.371, known as GCRA
 */
export class TokenBucket {
  #perToken: number;
  #burst: number;
  #fullAt = -Infinity;

  constructor({ limit, interval, burst }: BucketOptions) {
    this.#perToken = interval / limit;
    this.#burst = burst;
  }

  /** Milliseconds in which one token comes. */
  get perToken(): number {
    return this.#perToken;
  }

  /** When a token is or was there. */
  get nextAt(): number {
    return this.#fullAt - (this.#burst - 1) * this.#perToken;
  }

  /** Takes a token; false when there is none at `now`. */
  take(now: number): boolean {
    if (this.nextAt > now + ROUNDING) return false;
    this.takeAhead(now);
    return true;
  }

  /** Takes the next token, if need be before it has come. */
  takeAhead(now: number): void {
    this.#fullAt = Math.max(this.#fullAt, now) + this.#perToken;
  }

  /** Puts one back that was taken for nothing. */
  giveBack(): void {
    this.#fullAt -= this.#perToken;
  }

  /** Below 0 by the tokens that were taken ahead. */
  tokensAt(now: number): number {
    return this.#burst - Math.max(0, this.#fullAt - now) / this.#perToken;
  }

  /** Takes on another size and speed; the tokens that are there stay, as many as it can hold. */
  refit({ limit, interval, burst }: BucketOptions, now: number): void {
    const tokens = Math.min(burst, this.tokensAt(now));
    this.#perToken = interval / limit;
    this.#burst = burst;
    this.#fullAt = now + (burst - tokens) * this.#perToken;
  }
}
