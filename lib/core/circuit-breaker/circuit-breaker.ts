import type { CallContext } from '../call-context.js';
import { type Work, beginCall } from '../context.js';
import type { CircuitState } from '../errors.js';
import { type Gate, Policy, type PolicySetting, type PolicySnapshot } from '../policy.js';
import { prepared } from '../live-options.js';
import { type Runtime, runtimeWith } from '../runtime.js';
import { Holds, type CircuitHold } from './holds.js';
import { Machine } from './machine.js';
import type { OpeningReport } from './opening-report.js';
import {
  type BreakerOptionsInForce,
  type CircuitBreakerOptions,
  NO_OPTIONS,
  type CircuitStateListener,
  type ResolvedCircuitBreakerOptions,
  changedOptions,
  resolveBreakerOptions,
} from './options.js';
import { type Permit, permitFor } from './permit.js';
import { HalfOpen } from './half-open.js';
import { Rules } from './rules.js';
import { Open } from './states.js';

/**
 * Figures of a breaker at one moment. `totalCalls` is always the sum of `successfulCalls`,
 * `failedCalls`, `rejectedCalls`, `ignoredCalls` and `inFlight`. Totals outlive a reset.
 */
export interface CircuitBreakerStats {
  readonly totalCalls: number;
  readonly successfulCalls: number;
  readonly failedCalls: number;
  readonly rejectedCalls: number;
  readonly ignoredCalls: number;
  readonly inFlight: number;
  readonly stateChanges: number;
  readonly consecutiveFailures: number;
  /** Calls let through in shadow mode that would have been rejected. */
  readonly shadowRejections?: number;
  /** The last error that counted as a failure. */
  readonly lastFailure?: unknown;
  /** When the circuit opened, in milliseconds since the epoch; only until it closes. */
  readonly openedAt?: number;
}

/** A circuit breaker at one moment, as a plain object: durations are in ms. */
export interface CircuitBreakerSnapshot extends PolicySnapshot {
  readonly state: CircuitState;
  readonly stats: CircuitBreakerStats;
  /** Milliseconds spent in each state that it has been in. */
  readonly timeInStates: Partial<Record<CircuitState, number>>;
  readonly remainingTimeout?: number;
  /** Why it last opened. */
  readonly lastOpening?: OpeningReport;
}

/**
 * Stops calling a dependency that keeps failing, and probes it after `recoveryTimeout`.
 * Needs no Nest, no timer and no shutdown.
 *
 * @example
 * const payments = new CircuitBreaker('payments', { failureThreshold: 5, recoveryTimeout: '30s' });
 * const receipt = await payments.execute(({ signal }) => fetch(url, { signal }));
 * @throws ResilienceConfigError naming every option that breaks its rule
 * @see Michael Nygard, "Release It!" (2nd ed. 2018), chapter 5
 */
export class CircuitBreaker extends Policy {
  readonly kind = 'circuitBreaker';
  readonly name: string;
  #options: BreakerOptionsInForce;
  readonly #runtime: Runtime;
  readonly #createdAt: number;
  #started: Machine | undefined;
  #holds: Holds | undefined;

  constructor(
    name = 'default',
    options: CircuitBreakerOptions = NO_OPTIONS,
    setting: Omit<PolicySetting, 'name'> = {},
  ) {
    super(setting);
    this.name = name;
    this.#options = resolveBreakerOptions(name, options);
    this.#runtime = runtimeWith(setting.runtime);
    this.#createdAt = this.#runtime.clock.now();
  }

  /** The member of a keyed family that `machine` is. */
  static of(machine: Machine): CircuitBreaker {
    const { name, options, rules } = machine;
    const breaker = new CircuitBreaker(name, options, rules);
    breaker.#started = machine;
    return breaker;
  }

  /** Made on first use: an idle breaker is little more than its name. */
  get #machine(): Machine {
    return (this.#started ??= new Machine(
      new Rules(this.name, this.#options, this.#runtime, this.id),
      this.#createdAt,
    ));
  }

  override get id(): string {
    return `breaker:${this.name}`;
  }

  /** The options in force: frozen, durations in milliseconds. */
  get options(): ResolvedCircuitBreakerOptions {
    return this.#inForce;
  }

  /** A member's family may have changed them. */
  get #inForce(): BreakerOptionsInForce {
    return this.#started?.options ?? this.#options;
  }

  /** Where it stands; open until the first call after `recoveryTimeout`. */
  get state(): CircuitState {
    return this.#machine.state.name;
  }

  /** Milliseconds until a probe is let through; `undefined` unless open. */
  get remainingTimeout(): number | undefined {
    return this.#machine.state.remainingTimeout;
  }

  /** A plain snapshot. */
  get stats(): CircuitBreakerStats {
    const machine = this.#machine;
    const { state, lastFailure, shadowRejections } = machine;
    const recovering = state instanceof Open || state instanceof HalfOpen;
    return {
      totalCalls: machine.admitted + machine.rejected,
      successfulCalls: machine.successful,
      failedCalls: machine.failed,
      rejectedCalls: machine.rejected,
      ignoredCalls: machine.ignored,
      inFlight: machine.inFlight,
      stateChanges: machine.stateChanges,
      consecutiveFailures: state.consecutiveFailures,
      ...((shadowRejections > 0 || machine.options.mode === 'shadow') && { shadowRejections }),
      ...(lastFailure !== undefined && { lastFailure }),
      ...(recovering && { openedAt: state.openedAt }),
    };
  }

  stages(): [Gate] {
    return [this.#machine];
  }

  /**
   * Runs a synchronous function under the breaker.
   * @throws CircuitBreakerError when it is open; else what `work` throws
   */
  executeSync<T>(work: (call: CallContext) => T): T {
    return this.compiled().runSync(work, undefined, undefined, beginCall()) as T;
  }

  /** The function under this breaker, with its `this`, `name`, `length` and kind of result. */
  protect<F extends Work>(work: F): F {
    return this.wrap(work);
  }

  /** Admission for callers who cannot wrap their work: settle the permit exactly once. */
  tryAcquire(): Permit | undefined {
    const pass = this.#machine.admit(undefined, beginCall());
    return pass && permitFor(pass);
  }

  /**
   * Forces it closed from any state and clears the counters that decide; `stats` totals stay.
   * For tests and emergencies: it sends full traffic to a dependency that may still be failing.
   */
  reset(): void {
    this.#manual().reset();
  }

  /** Holds it open until every handle is released, or `reset()`. */
  isolate(): CircuitHold {
    return this.#manual().take('isolate');
  }

  /** Lets everything through and records only totals, until every handle is released, or `reset()`. */
  disable(): CircuitHold {
    return this.#manual().take('disable');
  }

  #manual(): Holds {
    return (this.#holds ??= new Holds(this.#machine));
  }

  /** Tells `listener` of every change of state, after it; the result takes it back. */
  onStateChange(listener: CircuitStateListener): () => void {
    return this.#machine.listen(listener);
  }

  /**
   * Changes options while it works: all of `changes` or, where one breaks its rule, none. State and
   * statistics stay; what a window has counted stays unless its kind or length changes. An `undefined`
   * option counts as absent: it stays as it is.
   * @throws ResilienceConfigError naming every option that breaks its rule
   */
  configure(changes: CircuitBreakerOptions): void {
    this.prepare(changes)();
  }

  /**
   * Checks a change and gives what makes it: for several breakers that change all or none.
   * @throws ResilienceConfigError naming every option that breaks its rule
   */
  prepare(changes: CircuitBreakerOptions): () => void {
    return prepared(changes, (asked) => {
      const options = changedOptions(this.name, this.#inForce, asked);
      return () => {
        this.#options = options;
        this.#started?.configure(this.#started.rules.with(options));
      };
    });
  }

  snapshot(): CircuitBreakerSnapshot {
    const { id, kind, name, options, state, stats, remainingTimeout } = this;
    const { lastOpening } = this.#machine;
    return {
      id,
      kind,
      name,
      options,
      state,
      stats,
      timeInStates: this.#machine.timeInStates(),
      ...(remainingTimeout !== undefined && { remainingTimeout }),
      ...(lastOpening && { lastOpening }),
    };
  }
}
