import { CircuitState } from '../errors.js';
import type { Pass } from '../policy.js';
import { Admission } from './admission.js';
import type { Machine } from './machine.js';
import { FailureTally } from './opening-report.js';
import type { Ramp } from './recovery.js';
import type { State } from './states.js';
import type { FailureWindow, Trip } from './windows.js';

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
    this.#window = machine.rules.newWindow();
    this.#slowAfter = slowCallDuration(machine);
  }

  get consecutiveFailures(): number {
    return this.#failures;
  }

  admit(): Pass | undefined {
    // The usual case alone: a smaller function is inlined further, which saves 1 to 3 ns of a decorated call on Node 20.
    if (this.ramp !== undefined || this.#slowAfter !== undefined) return this.#admitWatched();
    this.machine.admitted++;
    return this;
  }

  #admitWatched(): Pass | undefined {
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

  succeeded(slow = false): void {
    this.#failures = 0;
    const trip = this.#window.succeeded(slow);
    if (trip !== undefined) this.#open(trip, undefined);
  }

  failed(error: unknown, slow = false): void {
    this.#failures++;
    (this.#tally ??= new FailureTally()).add(error);
    const trip = this.#window.failed(slow, this.#failures);
    if (trip !== undefined) this.#open(trip, error);
  }

  /** Whether a call that began at `startedAt` counts as slow. */
  isSlow(startedAt: number): boolean {
    return this.machine.clock.now() - startedAt > (this.#slowAfter ?? Infinity);
  }

  #open(trip: Trip, error: unknown): void {
    this.machine.openFrom(this, error, { ...trip, topFailures: this.#tally?.top() ?? [] });
  }

  /** Takes on changed options; what has been counted stays where the window can hold it. */
  refit(): void {
    const { rules } = this.machine;
    this.#window = this.#window.refit?.(rules.options.window) ?? rules.newWindow();
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
    this.period.succeeded(this.period.isSlow(this.startedAt));
  }

  protected failed(error: unknown): void {
    this.period.failed(error, this.period.isSlow(this.startedAt));
  }
}
