/**
 * A breaker as the specification tells it, for comparison: one flat record, no classes, nothing lazy
 * but what the rules call lazy.
 */
export interface ModelOptions {
  failureThreshold: number;
  recoveryTimeout: number;
  halfOpenMaxCalls: number;
  successThreshold: number;
  probeTimeout: number;
}

export type Settlement = 'success' | 'failure' | 'ignored';

/** An admitted call: of which period, and when it began. */
export interface ModelCall {
  period: number;
  admittedAt: number;
}

export class BreakerModel {
  state: 'closed' | 'open' | 'half_open' | 'isolated' | 'disabled' = 'closed';
  now = 0;
  totals = { successfulCalls: 0, failedCalls: 0, ignoredCalls: 0, rejectedCalls: 0, inFlight: 0 };
  stateChanges = 0;
  failures = 0;
  private period = 0;
  private successes = 0;
  private openedAt = 0;
  private probes: ModelCall[] = [];
  private holds = { isolate: 0, disable: 0 };

  constructor(private readonly options: ModelOptions) {}

  /** A new period begins: nothing from before has a say in it (R14). */
  private move(to: BreakerModel['state']): void {
    if (to !== this.state) this.stateChanges++;
    this.state = to;
    this.period++;
    this.failures = this.successes = 0;
    this.probes = [];
    if (to === 'open') this.openedAt = this.now;
  }

  admit(): ModelCall | undefined {
    const { recoveryTimeout, halfOpenMaxCalls } = this.options;
    // R11: the first call at or after the recovery time makes it half-open.
    if (this.state === 'open' && this.now - this.openedAt >= recoveryTimeout)
      this.move('half_open');
    const full = this.state === 'half_open' && this.liveProbes().length >= halfOpenMaxCalls;
    if (this.state === 'open' || this.state === 'isolated' || full) {
      this.totals.rejectedCalls++;
      return undefined;
    }
    const call = { period: this.period, admittedAt: this.now };
    if (this.state === 'half_open') this.probes.push(call);
    this.totals.inFlight++;
    return call;
  }

  /** R15: a permit ends with `probeTimeout`. */
  private liveProbes(): ModelCall[] {
    return this.probes.filter((probe) => this.now - probe.admittedAt < this.options.probeTimeout);
  }

  settle(call: ModelCall, as: Settlement): void {
    this.totals.inFlight--;
    if (as === 'success') this.totals.successfulCalls++;
    if (as === 'failure') this.totals.failedCalls++;
    if (as === 'ignored') this.totals.ignoredCalls++;
    if (call.period !== this.period) return; // R14
    if (this.state === 'closed') this.settleClosed(as);
    if (this.state === 'half_open' && this.liveProbes().includes(call)) this.settleProbe(call, as);
  }

  private settleClosed(as: Settlement): void {
    if (as === 'success') this.failures = 0;
    if (as === 'failure') this.failures++;
    if (this.failures >= this.options.failureThreshold) this.move('open');
  }

  private settleProbe(call: ModelCall, as: Settlement): void {
    this.probes.splice(this.probes.indexOf(call), 1); // R13
    if (as === 'failure') this.move('open');
    if (as !== 'success') return;
    this.successes++;
    if (this.successes >= this.options.successThreshold) this.move('closed');
  }

  reset(): void {
    this.holds = { isolate: 0, disable: 0 };
    this.move('closed');
  }

  /** R17; the result releases the hold, unless a reset has voided it. */
  hold(kind: 'isolate' | 'disable'): () => void {
    const { holds } = this;
    holds[kind]++;
    this.applyHolds();
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      holds[kind]--;
      if (holds === this.holds) this.applyHolds();
    };
  }

  private applyHolds(): void {
    const { isolate, disable } = this.holds;
    const wanted = isolate > 0 ? 'isolated' : disable > 0 ? 'disabled' : 'closed';
    if (wanted !== this.state) this.move(wanted);
  }
}
