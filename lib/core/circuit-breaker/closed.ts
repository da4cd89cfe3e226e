import { CircuitState } from '../errors.js';
import type { Pass } from '../policy.js';
import { Admission } from './admission.js';
import type { Machine } from './machine.js';
import { FailureTally } from './opening-report.js';
import type { Ramp } from './recovery.js';
import type { State } from './states.js';
import { type FailureWindow, makeWindow } from './windows.js';

/** Calls pass and are their own generation: the state hands out itself. */
export class Closed extends Admission implements State {
  readonly name = CircuitState.CLOSED;
  #failures = 0;
  #window: FailureWindow;
  #slowAfter: number | undefined;
  #tally: FailureTally | undefined;

  constructor(
    machine: Machine,
    private ramp?: Ramp,
  ) {
    super(machine);
    const { window, failureThreshold } = machine.options;
    this.#window = makeWindow(window, failureThreshold, machine.clock);
    this.#slowAfter = slowCallDuration(machine);
  }

  get consecutiveFailures(): number {
    return this.#failures;
  }

  admit(): Pass | undefined {
    if (this.ramp !== undefined && !this.#rampAdmits(this.ramp)) return this.machine.reject();
    this.machine.admitted++;
    // Only slow calls need a clock, and an object for each call to hold the time.
    if (this.#slowAfter === undefined) return this;
    return new TimedCall(this.machine, this, this.machine.clock.now());
  }

  #rampAdmits(ramp: Ramp): boolean {
    if (!ramp.over) return ramp.admits();
    this.ramp = undefined;
    return true;
  }

  protected succeeded(): void {
    this.completed(false);
  }

  protected failed(error: unknown): void {
    this.completed(true, error);
  }

  /** One call is over, in `elapsed` ms where that matters. */
  completed(failed: boolean, error?: unknown, elapsed = 0): void {
    if (failed) {
      this.#failures++;
      (this.#tally ??= new FailureTally()).add(error);
    } else {
      this.#failures = 0;
    }
    const slow = elapsed > (this.#slowAfter ?? Infinity);
    const trip = this.#window.record(failed, slow);
    if (trip === undefined) return;
    this.machine.openFrom(this, error, { ...trip, topFailures: this.#tally?.top() ?? [] });
  }

  /** Takes on changed options; what has been counted stays where the window can hold it. */
  refit(): void {
    const { window, failureThreshold } = this.machine.options;
    const { clock } = this.machine;
    this.#window =
      this.#window.refit?.(window) ?? makeWindow(window, failureThreshold, clock, this.#failures);
    this.#slowAfter = slowCallDuration(this.machine);
  }
}

function slowCallDuration({ options: { window } }: Machine): number | undefined {
  return (window as { slowCallDuration?: number }).slowCallDuration;
}

/** A call whose duration tells. */
class TimedCall extends Admission {
  constructor(
    machine: Machine,
    private readonly period: Closed,
    private readonly startedAt: number,
  ) {
    super(machine);
  }

  protected succeeded(): void {
    this.period.completed(false, undefined, this.machine.clock.now() - this.startedAt);
  }

  protected failed(error: unknown): void {
    this.period.completed(true, error, this.machine.clock.now() - this.startedAt);
  }
}
