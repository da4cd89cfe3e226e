import { type CallContext, type Work, beginCall } from '../context.js';
import type { CircuitState } from '../errors.js';
import { type Gate, Policy, type PolicySnapshot } from '../policy.js';
import { type RuntimeOptions, runtimeWith } from '../runtime.js';
import { Issues, readOptions, text } from '../validation.js';
import { Holds, type CircuitHold } from './holds.js';
import { type BreakerOptionsInForce, Machine } from './machine.js';
import type { OpeningReport } from './opening-report.js';
import {
  type CircuitBreakerOptions,
  type CircuitStateListener,
  DEFAULT_RECOVERY,
  type ResolvedCircuitBreakerOptions,
  circuitBreakerSchema,
} from './options.js';
import { type Permit, permitFor } from './permit.js';
import { HalfOpen } from './half-open.js';
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
  /** In shadow mode: calls let through that would have been rejected. */
  readonly shadowRejections?: number;
  /** The last error that counted as a failure. */
  readonly lastFailure?: unknown;
  /** When the circuit opened, in milliseconds since the epoch; only until it closes. */
  readonly openedAt?: number;
}

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
  readonly #machine: Machine;
  readonly #holds: Holds;
  /** As written, so that a change leaves the defaults of the rest in force. */
  #given: CircuitBreakerOptions;

  constructor(
    name = 'default',
    options?: CircuitBreakerOptions,
    { runtime }: { runtime?: RuntimeOptions } = {},
  ) {
    super();
    this.name = name;
    this.#given = { ...options };
    this.#machine = new Machine(name, resolveBreakerOptions(name, options), runtimeWith(runtime));
    this.#holds = new Holds(this.#machine);
  }

  override get id(): string {
    return `breaker:${this.name}`;
  }

  /** The options in force: frozen, durations in milliseconds. */
  get options(): ResolvedCircuitBreakerOptions {
    return this.#machine.options;
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
    const { totals, state, stateChanges, lastFailure, options } = this.#machine;
    const { admitted, successful, failed, ignored, rejected } = totals;
    const recovering = state instanceof Open || state instanceof HalfOpen;
    return {
      totalCalls: admitted + rejected,
      successfulCalls: successful,
      failedCalls: failed,
      rejectedCalls: rejected,
      ignoredCalls: ignored,
      inFlight: admitted - successful - failed - ignored,
      stateChanges,
      consecutiveFailures: state.consecutiveFailures,
      ...(options.mode === 'shadow' && { shadowRejections: totals.shadowRejections }),
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
    const pass = this.#machine.admit();
    return pass && permitFor(pass);
  }

  /**
   * Forces it closed from any state and clears the counters that decide; `stats` totals stay.
   * For tests and emergencies: it sends full traffic to a dependency that may still be failing.
   */
  reset(): void {
    this.#holds.reset();
  }

  /** Holds it open until every handle is released, or `reset()`. */
  isolate(): CircuitHold {
    return this.#holds.take('isolate');
  }

  /** Lets everything through and records only totals, until every handle is released, or `reset()`. */
  disable(): CircuitHold {
    return this.#holds.take('disable');
  }

  /** Tells `listener` of every change of state, after it; the result takes it back. */
  onStateChange(listener: CircuitStateListener): () => void {
    return this.#machine.listen(listener);
  }

  /**
   * Changes options while it works: all of `changes` or, where one breaks its rule, none. State and
   * statistics stay; what a window has counted stays unless its kind or length changes.
   * @throws ResilienceConfigError naming every option that breaks its rule
   */
  configure(changes: CircuitBreakerOptions): void {
    const given = { ...this.#given, ...changes };
    this.#machine.configure(resolveBreakerOptions(this.name, given));
    this.#given = given;
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

function resolveBreakerOptions(name: unknown, options: unknown): BreakerOptionsInForce {
  const issues = new Issues();
  const named = text()(name);
  if (!('value' in named)) issues.add('circuitBreaker name', 'must be a non-empty string', name);
  const path = `circuitBreaker(${typeof name === 'string' ? name : '?'})`;
  const resolved = readOptions(circuitBreakerSchema, options, path, issues);
  issues.throwIfAny();
  const { recoveryTimeout } = resolved;
  const fixed = typeof recoveryTimeout === 'number' && recoveryTimeout > 0;
  const { probeTimeout = fixed ? recoveryTimeout : DEFAULT_RECOVERY } = resolved;
  return Object.freeze({ ...resolved, probeTimeout });
}
