/** What the calls of one window have shown. */
export interface WindowSample {
  /** Mean of the calls that succeeded, in milliseconds; `undefined` where none did. */
  readonly rtt: number | undefined;
  /** Which part of the calls was dropped, 0..1. */
  readonly dropShare: number;
  /** The most calls that ran at once. */
  readonly busiest: number;
}

/** Sums up the calls since it was last opened, in constant memory. */
export class SamplingWindow {
  #openedAt = -Infinity;
  #answered = 0;
  #totalRtt = 0;
  #dropped = 0;
  #busiest = 0;

  open(now: number, inUse: number): void {
    this.#openedAt = now;
    this.#answered = 0;
    this.#totalRtt = 0;
    this.#dropped = 0;
    this.#busiest = inUse;
  }

  began(inUse: number): void {
    if (inUse > this.#busiest) this.#busiest = inUse;
  }

  answered(rtt: number): void {
    this.#answered++;
    this.#totalRtt += rtt;
  }

  dropped(): void {
    this.#dropped++;
  }

  /** Whether it has lasted `length` ms and seen so many calls. */
  isFull(now: number, length: number, calls: number): boolean {
    return this.#answered + this.#dropped >= calls && now - this.#openedAt >= length;
  }

  get sample(): WindowSample {
    const settled = this.#answered + this.#dropped;
    return {
      rtt: this.#answered === 0 ? undefined : this.#totalRtt / this.#answered,
      dropShare: settled === 0 ? 0 : this.#dropped / settled,
      busiest: this.#busiest,
    };
  }
}
