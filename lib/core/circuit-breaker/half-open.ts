import { CircuitState } from '../errors.js';
import type { Pass } from '../policy.js';
import { Admission } from './admission.js';
import type { Machine } from './machine.js';
import { FailureTally } from './opening-report.js';
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

  admit(): Pass | undefined {
    const { clock } = this.machine;
    const now = clock.now();
    this.#dropExpired(now);
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
    const { halfOpenFailureRate: rate, halfOpenMaxCalls, successThreshold } = this.machine.options;
    // Certain once even failures alone, from here on, would stay below the rate.
    const certain =
      rate === undefined
        ? this.#successes >= successThreshold
        : halfOpenMaxCalls - this.#successes < rate * halfOpenMaxCalls;
    if (certain) this.machine.closeFrom(this);
  }

  probeFailed(error: unknown): void {
    this.#failures++;
    this.#tally.add(error);
    const { halfOpenFailureRate: rate, halfOpenMaxCalls } = this.machine.options;
    if (rate !== undefined && this.#failures < rate * halfOpenMaxCalls) return;
    this.machine.openFrom(this, error, {
      rule: rate === undefined ? 'probe_failed' : 'probe_failure_rate',
      figures: { probeSuccesses: this.#successes, probeFailures: this.#failures },
      topFailures: this.#tally.top(),
    });
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
