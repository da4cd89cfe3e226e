import { type CircuitState } from '../errors.js';
import type { Gate, Pass } from '../policy.js';
import type { Clock, Runtime } from '../runtime.js';
import { Judge } from './judge.js';
import type { OpeningReport } from './opening-report.js';
import type {
  CircuitStateChange,
  CircuitStateListener,
  ResolvedCircuitBreakerOptions,
} from './options.js';
import { Closed, HalfOpen, Open, type State, rejectionBy } from './states.js';

/** Lifetime counts; they never go back. */
export interface Totals {
  admitted: number;
  successful: number;
  failed: number;
  ignored: number;
  rejected: number;
}

/** Holds a breaker's state. `#moveTo` is its only writer. */
export class Machine implements Gate {
  readonly totals: Totals = { admitted: 0, successful: 0, failed: 0, ignored: 0, rejected: 0 };
  readonly judge: Judge;
  readonly clock: Clock;
  lastFailure: unknown;
  lastOpening: OpeningReport | undefined;
  stateChanges = 0;
  #state: State = new Closed(this);
  #since: number;
  readonly #timeIn: Partial<Record<CircuitState, number>> = {};
  #listeners: ReadonlySet<CircuitStateListener> = new Set();
  #untold: CircuitStateChange[] | undefined;

  constructor(
    private readonly name: string,
    readonly options: ResolvedCircuitBreakerOptions & { readonly probeTimeout: number },
    private readonly runtime: Runtime,
  ) {
    this.clock = runtime.clock;
    this.judge = new Judge(options, name, runtime.logger);
    this.#since = this.clock.now();
    if (options.onStateChange) this.listen(options.onStateChange);
  }

  get state(): State {
    return this.#state;
  }

  admit(): Pass | undefined {
    return this.#state.admit();
  }

  /** Counts a call that a state turns away. */
  reject(): undefined {
    this.totals.rejected++;
    return undefined;
  }

  refusal(): Error {
    return rejectionBy(this.#state, this.name, this.options.captureStack);
  }

  // Transitions. Each names the state that asks for it: one that has gone decides nothing.

  openFrom(from: State, error: unknown, opening: OpeningReport): void {
    if (from !== this.#state) return;
    this.lastOpening = opening;
    const recoversAt = this.clock.now() + this.options.recoveryTimeout;
    const failures = from.consecutiveFailures + (from instanceof HalfOpen ? 1 : 0);
    const openedAt = this.clock.wallTime();
    this.#moveTo(new Open(this, recoversAt, failures, opening, openedAt), { error, opening });
  }

  probeFrom(from: Open): void {
    if (from !== this.#state) return;
    this.#moveTo(new HalfOpen(this, from.consecutiveFailures, from.openedAt));
  }

  closeFrom(from: State): void {
    if (from === this.#state) this.enter(new Closed(this));
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
    try {
      listener(change);
    } catch (thrown) {
      this.runtime.logger.error(
        `Circuit breaker "${this.name}": a state listener threw; the change stands`,
        thrown,
      );
    }
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
