import type { CallContext } from '../call-context.js';
import type { CircuitState } from '../errors.js';
import type { EventSource } from '../events.js';
import type { Gate, Pass } from '../policy.js';
import type { Clock } from '../runtime.js';
import { Closed } from './closed.js';
import { HalfOpen } from './half-open.js';
import type { OpeningReport } from './opening-report.js';
import type { BreakerOptionsInForce, CircuitStateListener } from './options.js';
import { Ramp, openTime } from './recovery.js';
import type { Rules } from './rules.js';
import { StateListeners } from './state-listeners.js';
import { Open, type State, Unheeded, rejectionBy } from './states.js';

/** Lifetime counts; they never go back. */
class Totals {
  admitted = 0;
  successful = 0;
  failed = 0;
  ignored = 0;
  rejected = 0;
  /** In shadow mode: calls let through that would have been rejected. */
  shadowRejections = 0;
}

/** What only a breaker needs that has moved at least once. */
interface History {
  stateChanges: number;
  timeIn: Partial<Record<CircuitState, number>>;
  lastOpening: OpeningReport | undefined;
  /** Recoveries that failed since it last closed. */
  failedRecoveries: number;
  /** The state that has turned the last call away. */
  refusing: State | undefined;
}

const STATE_EVENTS = {
  open: 'breaker.opened',
  half_open: 'breaker.half-opened',
  closed: 'breaker.closed',
  isolated: 'breaker.isolated',
  disabled: 'breaker.disabled',
} as const;

/** Holds a breaker's state. `#moveTo` is its only writer. */
export class Machine extends Totals implements Gate {
  lastFailure: unknown;
  #state: State;
  #since: number;
  #history: History | undefined;
  #listeners: StateListeners | undefined;
  #unheeded: Unheeded | undefined;

  constructor(
    public rules: Rules,
    since: number,
    /** Within its family. */
    readonly key = '',
  ) {
    super();
    this.#since = since;
    this.#state = new Closed(this);
  }

  get name(): string {
    const { family, name } = this.rules;
    return family === undefined ? name : family.nameOf(this.key);
  }

  get #source(): EventSource {
    return { id: this.rules.id, name: this.name };
  }

  get options(): BreakerOptionsInForce {
    return this.rules.options;
  }

  get clock(): Clock {
    return this.rules.runtime.clock;
  }

  get state(): State {
    return this.#state;
  }

  get stateChanges(): number {
    return this.#history?.stateChanges ?? 0;
  }

  get lastOpening(): OpeningReport | undefined {
    return this.#history?.lastOpening;
  }

  get inFlight(): number {
    return this.admitted - this.successful - this.failed - this.ignored;
  }

  /** Takes on changed rules in the state it is in; statistics and permits stay. */
  configure(rules: Rules): void {
    this.rules = rules;
    if (this.#state instanceof Closed) this.#state.refit();
  }

  admit(_args: readonly unknown[] | undefined, call: CallContext): Pass | undefined {
    return this.#state.admit(call);
  }

  /** Lets a call through that no state learns of. */
  admitUnheeded(): Pass {
    this.admitted++;
    return (this.#unheeded ??= new Unheeded(this));
  }

  /** Counts a call that a state turns away; in shadow mode it passes, without a say. */
  reject(): Pass | undefined {
    const enforced = this.options.mode === 'enforce';
    const { events } = this.rules.runtime;
    const state = this.#state;
    if (events?.listening === true) {
      const type = enforced ? 'breaker.rejected' : 'breaker.spared';
      events.emit(type, this.#source, { state: state.name });
    }
    this.#remembered().refusing = state; // a listener may have moved it on, and made a call of its own
    if (enforced) {
      this.rejected++;
      return undefined;
    }
    this.shadowRejections++;
    return this.admitUnheeded();
  }

  refusal(): Error {
    return rejectionBy(this.#remembered().refusing as State, this.name, this.options.captureStack);
  }

  // Transitions. Each names the state that asks for it: where a call that has ended late asks, the
  // state may have gone, and decides nothing.

  openFrom(from: State, error: unknown, opening: OpeningReport): void {
    if (from !== this.#state) return;
    const { clock } = this;
    const history = this.#remembered();
    const reopens = from instanceof HalfOpen;
    const failedRecoveries = reopens ? history.failedRecoveries + 1 : 0;
    const time = openTime(this.rules, error, failedRecoveries);
    if (from !== this.#state) return; // a `recoveryTimeout` of the user's own has moved it
    history.lastOpening = opening;
    history.failedRecoveries = failedRecoveries;
    const failures = from.consecutiveFailures + (reopens ? 1 : 0);
    const open = new Open(this, clock.now() + time, failures, opening, clock.wallTime());
    this.#moveTo(open, { error, opening });
  }

  probeFrom(from: Open): void {
    this.#moveTo(new HalfOpen(this, from.consecutiveFailures, from.openedAt));
  }

  closeFrom(from: State): void {
    if (from !== this.#state) return;
    const { rampUp } = this.options;
    this.enter(new Closed(this, rampUp && new Ramp(rampUp, this.rules.runtime)));
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
    const history = this.#remembered();
    history.timeIn[from] = (history.timeIn[from] ?? 0) + now - this.#since;
    history.stateChanges++;
    this.#since = now;
    this.rules.family?.moved(this, from);
    const { onStateChange } = this.options;
    const { events } = this.rules.runtime;
    const emitted =
      events?.listening === true
        ? (): void => events.emit(STATE_EVENTS[next.name], this.#source, { from, ...cause })
        : undefined;
    if ((this.#listeners ?? onStateChange ?? emitted) === undefined) return;
    const at = this.clock.wallTime();
    const change = { breakerName: this.name, from, to: next.name, at, ...cause };
    this.#told().tell(change, [emitted, onStateChange]);
  }

  listen(listener: CircuitStateListener): () => void {
    return this.#told().add(listener);
  }

  #told(): StateListeners {
    return (this.#listeners ??= new StateListeners(this.rules.runtime.logger));
  }

  #remembered(): History {
    return (this.#history ??= {
      stateChanges: 0,
      timeIn: {},
      lastOpening: undefined,
      failedRecoveries: 0,
      refusing: undefined,
    });
  }

  /** Milliseconds spent in each state entered so far, the present one included. */
  timeInStates(): Partial<Record<CircuitState, number>> {
    const { name } = this.#state;
    const timeIn = this.#history?.timeIn;
    const present = this.clock.now() - this.#since;
    return { ...timeIn, [name]: (timeIn?.[name] ?? 0) + present };
  }
}
