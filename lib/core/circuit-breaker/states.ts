import { CircuitBreakerError, CircuitState, withoutStack } from '../errors.js';
import type { Pass } from '../policy.js';
import { Admission } from './admission.js';
import type { Machine } from './machine.js';
import { FailureTally, type OpeningReport } from './opening-report.js';

/** One period of a breaker. Admits calls, or says why not. */
export interface State {
  readonly name: CircuitState;
  /** Counted failures in a row, up to now or to the opening. */
  readonly consecutiveFailures: number;
  /** Milliseconds until a probe is let through; only while open. */
  readonly remainingTimeout?: number | undefined;
  admit(): Pass | undefined;
}

/** Calls pass and are their own generation: the state hands out itself. */
export class Closed extends Admission implements State {
  readonly name = CircuitState.CLOSED;
  #failures = 0;
  #tally: FailureTally | undefined;

  get consecutiveFailures(): number {
    return this.#failures;
  }

  admit(): Pass {
    this.machine.totals.admitted++;
    return this;
  }

  protected succeeded(): void {
    this.#failures = 0;
  }

  protected failed(error: unknown): void {
    this.#failures++;
    (this.#tally ??= new FailureTally()).add(error);
    const { failureThreshold } = this.machine.options;
    if (this.#failures < failureThreshold) return;
    this.machine.openFrom(this, error, {
      rule: 'consecutive_failures',
      figures: { failures: this.#failures, failureThreshold },
      topFailures: this.#tally.top(),
    });
  }
}

/** Calls are rejected. No timer runs: the first call after the recovery time makes it half-open. */
export class Open implements State {
  readonly name = CircuitState.OPEN;

  constructor(
    private readonly machine: Machine,
    private readonly recoversAt: number,
    readonly consecutiveFailures: number,
    readonly opening: OpeningReport,
    readonly openedAt: number,
  ) {}

  get remainingTimeout(): number {
    return Math.max(0, this.recoversAt - this.machine.clock.now());
  }

  admit(): Pass | undefined {
    if (this.machine.clock.now() < this.recoversAt) return this.machine.reject();
    this.machine.probeFrom(this);
    return this.machine.admit(); // a listener may have moved it on
  }
}

/** A few probes at a time find out whether the dependency has recovered. */
export class HalfOpen implements State {
  readonly name = CircuitState.HALF_OPEN;
  /** In order of admission, which is the order in which their permits expire. */
  readonly #probes: Probe[] = [];
  #successes = 0;
  readonly #tally = new FailureTally();

  constructor(
    private readonly machine: Machine,
    readonly consecutiveFailures: number,
    readonly openedAt: number,
  ) {}

  admit(): Pass | undefined {
    const { clock, options, totals } = this.machine;
    const now = clock.now();
    this.#dropExpired(now - options.probeTimeout);
    if (this.#probes.length >= options.halfOpenMaxCalls) return this.machine.reject();
    totals.admitted++;
    const probe = new Probe(this.machine, this, now);
    this.#probes.push(probe);
    return probe;
  }

  /** A hung probe must not wedge the breaker: its permit goes to the next call. */
  #dropExpired(before: number): void {
    while (this.#probes[0] !== undefined && this.#probes[0].admittedAt <= before) {
      this.#probes.shift();
    }
  }

  /** Takes the probe's permit back; false for one that expired, which decides nothing any more. */
  takeBack(probe: Probe): boolean {
    const index = this.#probes.indexOf(probe);
    if (index === -1) return false;
    this.#probes.splice(index, 1);
    return true;
  }

  probeSucceeded(): void {
    this.#successes++;
    if (this.#successes >= this.machine.options.successThreshold) this.machine.closeFrom(this);
  }

  probeFailed(error: unknown): void {
    this.#tally.add(error);
    this.machine.openFrom(this, error, {
      rule: 'probe_failed',
      figures: { probeSuccesses: this.#successes },
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

/** Held open by hand. */
export class Isolated implements State {
  readonly name = CircuitState.ISOLATED;
  readonly consecutiveFailures = 0;

  constructor(private readonly machine: Machine) {}

  admit(): undefined {
    return this.machine.reject();
  }
}

/** Everything passes and nothing but totals is recorded. */
export class Disabled extends Admission implements State {
  readonly name = CircuitState.DISABLED;
  readonly consecutiveFailures = 0;

  admit(): Pass {
    this.machine.totals.admitted++;
    return this;
  }

  protected succeeded(): void {
    // Totals only.
  }

  protected failed(): void {
    // Totals only.
  }
}

/** A fresh rejection for a call that `state` turned away. */
export function rejectionBy(state: State, breakerName: string, captureStack: boolean): Error {
  const make = (): Error =>
    new CircuitBreakerError(breakerName, {
      state: state.name,
      remainingTimeout: state.remainingTimeout,
    });
  return captureStack ? make() : withoutStack(make);
}
