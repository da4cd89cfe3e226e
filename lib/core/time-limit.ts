import { placeAt } from './async-place.js';
import type { Duration } from './duration.js';
import {
  type Deliver,
  type Layer,
  Policy,
  type PolicySetting,
  type PolicySnapshot,
  type Stage,
} from './policy.js';
import { type Runtime, runtimeWith } from './runtime.js';
import { type Schema, duration, oneOf, requireOptions, required } from './validation.js';
import { LimitedCall, RunningCalls, WatchedCall } from './limited-call.js';
import {
  type EnforcementMode,
  type LiveOptions,
  changedOptions,
  givenOptions,
  prepared,
} from './live-options.js';
import { type TimingsMode, timingsField } from './timings.js';

/** How long a caller waits. */
export interface TimeLimitOptions {
  /** Record how long calls take: `'off'`, `'sampled'` (one in 17) or `'all'`. Default `'off'`. */
  timings?: TimingsMode | undefined;
  /** At least 1 ms. */
  limit: Duration;
  /** `'shadow'` counts and reports calls that take longer, and lets them go on. Default `'enforce'`. */
  mode?: EnforcementMode | undefined;
}

/** The options in force: milliseconds. */
export interface ResolvedTimeLimitOptions {
  readonly timings: TimingsMode | undefined;
  readonly limit: number;
  readonly mode: EnforcementMode;
}

export const timeLimitSchema: Schema<ResolvedTimeLimitOptions> = {
  timings: timingsField,
  limit: required(duration(1)),
  mode: { rule: oneOf('enforce', 'shadow'), default: 'enforce' },
};

/** Whether the work had settled when the limit came; `would_time_out` in shadow mode. */
export type TimeLimitOutcome = 'in_time' | 'timed_out' | 'would_time_out';

/** What a time limit has done, and what still runs past it; `calls` and `late` only go up. */
export interface TimeLimitSnapshot extends PolicySnapshot {
  readonly calls: Readonly<Record<TimeLimitOutcome, number>>;
  /** What timed-out work brought when its caller had left. */
  readonly late: { readonly successes: number; readonly failures: number };
  /** Timed-out work that still runs. */
  readonly abandoned: number;
}

/** Releases the caller at the limit and tells the work through its signal. Made by `timeLimit()`. */
export class TimeLimitPolicy extends Policy implements Layer {
  readonly kind = 'timeLimit';
  readonly name: string;
  readonly answersEarly = true;
  readonly calls: Record<TimeLimitOutcome, number> = {
    in_time: 0,
    timed_out: 0,
    would_time_out: 0,
  };
  readonly late = { successes: 0, failures: 0 };
  readonly runtime: Runtime;
  #live: LiveOptions<ResolvedTimeLimitOptions>;
  #running: RunningCalls;

  constructor(limit: Duration | TimeLimitOptions, setting: PolicySetting = {}) {
    super(setting);
    this.name = setting.name ?? 'timeLimit';
    const given = optionsOf(limit);
    const inForce = requireOptions(timeLimitSchema, given, `timeLimit(${this.name})`);
    this.#live = { given: givenOptions(given, inForce), inForce };
    this.runtime = runtimeWith(setting.runtime);
    this.#running = new RunningCalls(this, inForce.limit);
  }

  /** The options in force: frozen, durations in milliseconds. */
  get options(): ResolvedTimeLimitOptions {
    return this.#live.inForce;
  }

  stages(): [Layer] {
    return [this];
  }

  deliver(next: Deliver, around: readonly Stage[]): Deliver {
    return (work, self, args, call, receiver) => {
      const running = this.#runningCalls();
      if (this.options.mode === 'shadow') {
        // The call goes on as it is, without a deadline or a signal of this limit.
        next(work, self, args, call, new WatchedCall(running, receiver));
        return;
      }
      // A promise brings its caller back to where it was; what receives here would be in the timer's.
      const place = around.length === 0 ? undefined : placeAt(receiver.promise);
      const limited = new LimitedCall(running, call, receiver, place);
      next(work, self, args, call.within(limited), limited);
    };
  }

  /** Calls that began under other timers wait for those; a test may have exchanged them. */
  #runningCalls(): RunningCalls {
    const { clock } = this.runtime;
    if (clock.timerSource?.() !== this.#running.timerSource) {
      this.#running = new RunningCalls(this, this.options.limit);
    }
    return this.#running;
  }

  /**
   * Changes options while it works: all of `changes` or, where one breaks its rule, none. Calls that
   * run keep the limit, and the mode, under which they began.
   * @param changes options, or a new limit alone
   * @throws ResilienceConfigError naming every option that breaks its rule, or that cannot change
   */
  configure(changes: Duration | Partial<TimeLimitOptions>): void {
    this.prepare(changes)();
  }

  /**
   * Checks a change and gives what makes it: for several policies that change all or none.
   * @throws ResilienceConfigError as `configure` does
   */
  prepare(changes: Duration | Partial<TimeLimitOptions>): () => void {
    return prepared(changes, (asked) => {
      const path = `timeLimit(${this.name})`;
      const live = changedOptions(this.#live, optionsOf(asked), timeLimitSchema, path);
      return () => {
        this.#live = live;
        this.#running.retire();
        this.#running = new RunningCalls(this, live.inForce.limit);
      };
    });
  }

  snapshot(): TimeLimitSnapshot {
    const { id, kind, name, options, calls, late } = this;
    const abandoned = calls.timed_out - late.successes - late.failures;
    return { id, kind, name, options, calls: { ...calls }, late: { ...late }, abandoned };
  }
}

function optionsOf<O extends object>(limit: Duration | O): O | { limit: Duration } {
  return typeof limit === 'object' ? limit : { limit };
}

/**
 * A limit on how long a caller waits, the wait of everything inside included. The caller gets a
 * `TimeoutError` at that instant even if the work ignores its signal; limits nest, the nearest wins.
 *
 * @example
 * const page = await timeLimit('2s').execute(({ signal }) => fetch(url, { signal }));
 * @param limit at least 1 ms; there is no default
 * @throws ResilienceConfigError where the limit is none
 */
export function timeLimit(
  limit: Duration | TimeLimitOptions,
  setting?: PolicySetting,
): TimeLimitPolicy {
  return new TimeLimitPolicy(limit, setting);
}
