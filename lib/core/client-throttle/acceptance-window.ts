import type { Clock } from '../runtime.js';

/** The window moves on in steps of a tenth of its duration. */
const BUCKETS = 10;

/** How many of the latest calls were asked for, and how many accepted, in fixed memory. */
export class AcceptanceWindow {
  #requests = 0;
  #accepts = 0;
  readonly #requestsIn = new Int32Array(BUCKETS);
  readonly #acceptsIn = new Int32Array(BUCKETS);
  readonly #width: number;
  #bucket: number;

  constructor(
    duration: number,
    private readonly clock: Clock,
  ) {
    this.#width = duration / BUCKETS;
    this.#bucket = this.#now();
  }

  get requests(): number {
    this.#rotate();
    return this.#requests;
  }

  get accepts(): number {
    this.#rotate();
    return this.#accepts;
  }

  add(accepted: boolean): void {
    this.#rotate();
    const at = this.#bucket % BUCKETS;
    this.#requests++;
    increment(this.#requestsIn, at);
    if (!accepted) return;
    this.#accepts++;
    increment(this.#acceptsIn, at);
  }

  #now(): number {
    return Math.floor(this.clock.now() / this.#width);
  }

  /** Forgets every bucket that has gone by; after a long idle time that is all of them. */
  #rotate(): void {
    const now = this.#now();
    const gone = Math.min(now - this.#bucket, BUCKETS);
    for (let step = 1; step <= gone; step++) this.#forget((this.#bucket + step) % BUCKETS);
    this.#bucket = now;
  }

  #forget(at: number): void {
    this.#requests -= this.#requestsIn[at] as number;
    this.#accepts -= this.#acceptsIn[at] as number;
    this.#requestsIn[at] = 0;
    this.#acceptsIn[at] = 0;
  }
}

function increment(counts: Int32Array, at: number): void {
  counts[at] = (counts[at] as number) + 1;
}
