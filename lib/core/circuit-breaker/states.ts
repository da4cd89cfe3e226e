import type { CallContext } from '../call-context.js';
import { CircuitBreakerError, CircuitState } from '../errors.js';
import type { Pass } from '../policy.js';
import { Admission } from './admission.js';
import type { Machine } from './machine.js';
import type { OpeningReport } from './opening-report.js';
import { withoutStack } from '../without-stack.js';

/** One period of a breaker. Admits calls, or says why not. */
export interface State {
  readonly name: CircuitState;
  /** Counted failures in a row, up to now or to the opening. */
  readonly consecutiveFailures: number;
  /** Milliseconds until a probe is let through; only while open. */
  readonly remainingTimeout?: number | undefined;
  /** The same at the last call that was turned away. */
  readonly remainingAtRejection?: number | undefined;
  admit(call: CallContext): Pass | undefined;
}

/** Calls are rejected. No timer runs: the first call after the recovery time makes it half-open. */
export class Open implements State {
  readonly name = CircuitState.OPEN;
  remainingAtRejection: number | undefined;

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

  admit(call: CallContext): Pass | undefined {
    // Kept for the rejection that follows: the clock costs 40 ns.
    this.remainingAtRejection = this.recoversAt - this.machine.clock.now();
    if (this.remainingAtRejection > 0) return this.machine.reject();
    this.machine.probeFrom(this);
    return this.machine.admit(undefined, call); // a listener may have moved it on
  }
}

/** Held open by hand. */
export class Isolated implements State {
  readonly name = CircuitState.ISOLATED;
  readonly consecutiveFailures = 0;

  constructor(private readonly machine: Machine) {}

  admit(): Pass | undefined {
    return this.machine.reject();
  }
}

/** Passes without a say: only the lifetime totals learn of the call. */
export class Unheeded extends Admission {
  protected succeeded(): void {
    // Totals only.
  }

  protected failed(): void {
    // Totals only.
  }
}

/** Everything passes and nothing but totals is recorded. */
export class Disabled extends Unheeded implements State {
  readonly name = CircuitState.DISABLED;
  readonly consecutiveFailures = 0;

  admit(): Pass {
    this.machine.admitted++;
    return this;
  }
}

/** A fresh rejection for a call that `state` turned away. */
export function rejectionBy(state: State, breakerName: string, captureStack: boolean): Error {
  const make = (): Error =>
    new CircuitBreakerError(breakerName, {
      state: state.name,
      remainingTimeout: state.remainingAtRejection,
    });
  return captureStack ? make() : withoutStack(make);
}
