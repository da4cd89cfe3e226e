import { type CircuitState } from '../errors.js';
import type { Gate, Pass } from '../policy.js';
import { type Clock, type Runtime, tell } from '../runtime.js';
import { Judge } from './judge.js';
import type { OpeningReport } from './opening-report.js';
import type {
  CircuitStateChange,
  CircuitStateListener,
  ResolvedCircuitBreakerOptions,
} from './options.js';
import { Closed } from './closed.js';
import { HalfOpen } from './half-open.js';
import { Ramp, openTime } from './recovery.js';
import { Open, type State, Unheeded, rejectionBy } from './states.js';

/** Lifetime counts; they never go back. */
export interface Totals {
  admitted: number;
  successful: number;
  failed: number;
  ignored: number;
  rejected: number;
  /** In shadow mode: calls let through that would have been rejected. */
  shadowRejections: number;
}

/** The options with the probe timeout filled in, which depends on another. */
export type BreakerOptionsInForce = ResolvedCircuitBreakerOptions & {
  readonly probeTimeout: number;
};

/** Holds a breaker's state. `#moveTo` is its only writer. */
export class Machine implements Gate {
  readonly totals: Totals = {
    admitted: 0,
    successful: 0,
    failed: 0,
    ignored: 0,
    rejected: 0,
    shadowRejections: 0,
  };
  judge: Judge;
  readonly clock: Clock;
  lastFailure: unknown;
  lastOpening: OpeningReport | undefined;
  stateChanges = 0;
  options: BreakerOptionsInForce;
  #state: State;
  #since: number;
  readonly #timeIn: Partial<Record<CircuitState, number>> = {};
  #leaveOwnListener: (() => void) | undefined;
  #listeners: ReadonlySet<CircuitStateListener> = new Set();
  #untold: CircuitStateChange[] | undefined;
  readonly #unheeded = new Unheeded(this);
  /** Recoveries that failed since it last closed. */
  #failedRecoveries = 0;

  constructor(
    private readonly name: string,
    options: BreakerOptionsInForce,
    private readonly runtime: Runtime,
  ) {
    this.clock = runtime.clock;
    this.#since = this.clock.now();
    this.options = options;
    this.judge = new Judge(options, name, runtime.logger);
    this.#listenAs(options.onStateChange);
    this.#state = new Closed(this);
  }

  /** Takes on changed options in the state it is in; statistics and permits stay. */
  configure(options: BreakerOptionsInForce): void {
    if (options.onStateChange !== this.options.onStateChange) {
      this.#listenAs(options.onStateChange);
    }
    this.options = options;
    this.judge = new Judge(options, this.name, this.runtime.logger);
    if (this.#state instanceof Closed) this.#state.refit();
  }

  #listenAs(listener: CircuitStateListener | undefined): void {
    this.#leaveOwnListener?.();
    this.#leaveOwnListener = listener && this.listen(listener);
  }

  get state(): State {
    return this.#state;
  }

  admit(): Pass | undefined {
    return this.#state.admit();
  }

  /** Counts a call that a state turns away; in shadow mode it passes, without a say. */
  reject(): Pass | undefined {
    if (this.options.mode === 'enforce') {
      this.totals.rejected++;
      return undefined;
    }
    this.totals.shadowRejections++;
    this.totals.admitted++;
    return this.#unheeded;
  }

  refusal(): Error {
    return rejectionBy(this.#state, this.name, this.options.captureStack);
  }

  // Transitions. Each names the state that asks for it: one that has gone decides nothing.

  openFrom(from: State, error: unknown, opening: OpeningReport): void {
    if (from !== this.#state) return;
    this.lastOpening = opening;
    const reopens = from instanceof HalfOpen;
    this.#failedRecoveries = reopens ? this.#failedRecoveries + 1 : 0;
    const time = openTime(this.options, error, this.#failedRecoveries, this.runtime);
    const recoversAt = this.clock.now() + time;
    const failures = from.consecutiveFailures + (reopens ? 1 : 0);
    const openedAt = this.clock.wallTime();
    this.#moveTo(new Open(this, recoversAt, failures, opening, openedAt), { error, opening });
  }

  probeFrom(from: Open): void {
    if (from !== this.#state) return;
    this.#moveTo(new HalfOpen(this, from.consecutiveFailures, from.openedAt));
  }

  closeFrom(from: State): void {
    if (from !== this.#state) return;
    const { rampUp } = this.options;
    this.enter(new Closed(this, rampUp && new Ramp(rampUp, this.runtime)));
  }

  /** Moves by hand: a reset, or a hold that begins or ends. */
  enter(state: State): void {
    this.#moveTo(state);
  }

  #moveTo(next: State, cause: { error?: unknown; opening?: OpeningReport } = {}): void {
    const from = this.#state.name;
    this.#state = next;
    if (from === next.name) return;
    const now = this.clock.now();
    this.#timeIn[from] = (this.#timeIn[from] ?? 0) + now - this.#since;
    this.#since = now;
    this.stateChanges++;
    if (this.#listeners.size === 0) return;
    const at = this.clock.wallTime();
    this.#tell({ breakerName: this.name, from, to: next.name, at, ...cause });
  }

  /** Tells every listener of every change in the order of the changes, also of one made by a listener. */
  #tell(change: CircuitStateChange): void {
    if (this.#untold) return void this.#untold.push(change);
    this.#untold = [change];
    for (const each of this.#untold) {
      for (const listener of this.#listeners) this.#call(listener, each);
    }
    this.#untold = undefined;
  }

  #call(listener: CircuitStateListener, change: CircuitStateChange): void {
    const message = `Circuit breaker "${this.name}": a state listener threw; the change stands`;
    tell(
      () => listener(change),
      (thrown) => this.runtime.logger.error(message, thrown),
    );
  }

  listen(listener: CircuitStateListener): () => void {
    const entry: CircuitStateListener = (change) => listener(change);
    this.#listeners = new Set([...this.#listeners, entry]);
    return () => {
      this.#listeners = new Set([...this.#listeners].filter((each) => each !== entry));
    };
  }

  /** Milliseconds spent in each state entered so far, the present one included. */
  timeInStates(): Partial<Record<CircuitState, number>> {
    const { name } = this.#state;
    const present = this.clock.now() - this.#since;
    return { ...this.#timeIn, [name]: (this.#timeIn[name] ?? 0) + present };
  }
}
