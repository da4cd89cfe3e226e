import type { CallContext } from '../call-context.js';
import { CircuitState } from '../errors.js';
import type { Pass } from '../policy.js';
import { Admission } from './admission.js';
import type { Machine } from './machine.js';
import { FailureTally, type OpeningReport } from './opening-report.js';
import type { State } from './states.js';

/** A few probes at a time find out whether the dependency has recovered. */
export class HalfOpen implements State {
  readonly name = CircuitState.HALF_OPEN;
  /** In order of admission, which is the order in which their permits expire. */
  readonly #probes: Probe[] = [];
  #successes = 0;
  #failures = 0;
  readonly #tally = new FailureTally();

  constructor(
    private readonly machine: Machine,
    readonly consecutiveFailures: number,
    readonly openedAt: number,
  ) {}

  admit(call: CallContext): Pass | undefined {
    const { clock } = this.machine;
    const now = clock.now();
    this.#dropExpired(now);
    // Changed options may have made certain what was not.
    if (this.#moveOn(this.machine.lastFailure)) return this.machine.admit(undefined, call);
    // A call inside a probe is a part of it: without a place of its own, it could take that from the probe.
    if (call.probes?.some((probe) => this.#probes.includes(probe as Probe)) === true)
      return this.machine.admitUnheeded();
    if (this.#probes.length >= this.#places) return this.machine.reject();
    this.machine.admitted++;
    const probe = new Probe(this.machine, this, now);
    this.#probes.push(probe);
    return probe;
  }

  /** With a failure rate the results are counted in all; without, the probes at once. */
  get #places(): number {
    const { halfOpenFailureRate, halfOpenMaxCalls } = this.machine.options;
    if (halfOpenFailureRate === undefined) return halfOpenMaxCalls;
    return halfOpenMaxCalls - this.#successes - this.#failures;
  }

  /** A hung probe must not wedge the breaker: its permit goes to the next call. */
  #dropExpired(now: number): void {
    const { probeTimeout } = this.machine.options;
    while (this.#probes[0] !== undefined && now - this.#probes[0].admittedAt >= probeTimeout) {
      this.#probes.shift();
    }
  }

  /** Takes the probe's permit back; false for one that expired, which decides nothing any more. */
  takeBack(probe: Probe): boolean {
    this.#dropExpired(this.machine.clock.now());
    const index = this.#probes.indexOf(probe);
    if (index === -1) return false;
    this.#probes.splice(index, 1);
    return true;
  }

  probeSucceeded(): void {
    this.#successes++;
    this.#moveOn(undefined);
  }

  probeFailed(error: unknown): void {
    this.#failures++;
    this.#tally.add(error);
    this.#moveOn(error);
  }

  /** Opens or closes as soon as the outcome is certain; false while it is not. */
  #moveOn(error: unknown): boolean {
    if (this.#isFailed) this.machine.openFrom(this, error, this.#report());
    else if (this.#isRecovered) this.machine.closeFrom(this);
    else return false;
    return true;
  }

  // Shares are divided, not multiplied: 7 of 100 is 0.07, but 0.07 * 100 is more than 7.

  get #isFailed(): boolean {
    const { halfOpenFailureRate: rate, halfOpenMaxCalls } = this.machine.options;
    return rate === undefined ? this.#failures > 0 : this.#failures / halfOpenMaxCalls >= rate;
  }

  /** With a rate: even failures alone, from here on, would stay below it. */
  get #isRecovered(): boolean {
    const { halfOpenFailureRate: rate, halfOpenMaxCalls, successThreshold } = this.machine.options;
    if (rate === undefined) return this.#successes >= successThreshold;
    return (halfOpenMaxCalls - this.#successes) / halfOpenMaxCalls < rate;
  }

  #report(): OpeningReport {
    const { halfOpenFailureRate, halfOpenMaxCalls } = this.machine.options;
    const figures = { probeSuccesses: this.#successes, probeFailures: this.#failures };
    const topFailures = this.#tally.top();
    return halfOpenFailureRate === undefined
      ? { rule: 'probe_failed', figures, topFailures }
      : {
          rule: 'probe_failure_rate',
          figures: { ...figures, halfOpenMaxCalls, halfOpenFailureRate },
          topFailures,
        };
  }
}

/** One call let through a half-open breaker; it holds a permit that expires. */
class Probe extends Admission {
  constructor(
    machine: Machine,
    private readonly period: HalfOpen,
    readonly admittedAt: number,
  ) {
    super(machine);
  }

  override contextOf(call: CallContext): CallContext {
    return call.during(this);
  }

  protected succeeded(): void {
    if (this.period.takeBack(this)) this.period.probeSucceeded();
  }

  protected failed(error: unknown): void {
    if (this.period.takeBack(this)) this.period.probeFailed(error);
  }

  protected override ignored(): void {
    this.period.takeBack(this);
  }
}
