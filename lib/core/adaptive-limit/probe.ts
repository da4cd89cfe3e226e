/**
 * Measures the unloaded latency of a dependency that is always busy: it halves the limit, and halves it again
 * until latency no longer falls. Without it the long-term latency creeps up to the loaded one.
 * @see "BBR: Congestion-Based Congestion Control" (Cardwell et al., ACM Queue 2016), state ProbeRTT
 */
export class Probe {
  #limit: number;
  #reference: number | undefined;

  /** @param longRtt what is believed now; @param endsAt when it is given up: calls may hang */
  constructor(
    limit: number,
    private readonly minLimit: number,
    longRtt: number | undefined,
    readonly endsAt: number,
  ) {
    this.#limit = this.#half(limit);
    this.#reference = longRtt;
  }

  /** Calls at once while it lasts. */
  get limit(): number {
    return this.#limit;
  }

  /** Takes in the latency under its limit; whether it has to look below. */
  goesOn(rtt: number, tolerance: number): boolean {
    const reference = this.#reference;
    this.#reference = rtt;
    if (reference !== undefined && rtt * tolerance >= reference && rtt <= reference * tolerance) {
      return false;
    }
    const lower = this.#half(this.#limit);
    if (lower === this.#limit) return false;
    this.#limit = lower;
    return true;
  }

  #half(limit: number): number {
    return Math.max(this.minLimit, Math.floor(limit / 2), 1);
  }
}
