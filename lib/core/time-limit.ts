import type { Duration } from './duration.js';
import { type Layer, Policy, type PolicySetting, type PolicySnapshot, type Run } from './policy.js';
import { promised } from './promised.js';
import { type Runtime, runtimeWith } from './runtime.js';
import { type Schema, duration, requireOptions, required } from './validation.js';
import { LimitedCall, RunningCalls } from './limited-call.js';

/** How long a caller waits. */
export interface TimeLimitOptions {
  /** At least 1 ms. */
  limit: Duration;
}

/** The options in force: milliseconds. */
export interface ResolvedTimeLimitOptions {
  readonly limit: number;
}

export const timeLimitSchema: Schema<ResolvedTimeLimitOptions> = {
  limit: required(duration(1)),
};

/** Whether the work had settled when the limit came. */
export type TimeLimitOutcome = 'in_time' | 'timed_out';

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
  readonly options: ResolvedTimeLimitOptions;
  readonly answersEarly = true;
  readonly calls: Record<TimeLimitOutcome, number> = { in_time: 0, timed_out: 0 };
  readonly late = { successes: 0, failures: 0 };
  readonly runtime: Runtime;
  #running: RunningCalls;

  constructor(limit: Duration | TimeLimitOptions, setting: PolicySetting = {}) {
    super();
    this.name = setting.name ?? 'timeLimit';
    const options = typeof limit === 'object' ? limit : { limit };
    this.options = requireOptions(timeLimitSchema, options, `timeLimit(${this.name})`);
    this.runtime = runtimeWith(setting.runtime);
    this.#running = new RunningCalls(this.runtime);
  }

  stages(): [Layer] {
    return [this];
  }

  link(next: Run): Run {
    return (work, self, args, call) =>
      new Promise((resolve, reject) => {
        const limited = new LimitedCall(this, this.#runningCalls(), call, resolve, reject);
        promised(next, work, self, args, call.within(limited, limited)).then(
          (value) => limited.succeed(value),
          (error: unknown) => limited.fail(error),
        );
      });
  }

  /** Calls that began under other timers wait for those; a test may have exchanged them. */
  #runningCalls(): RunningCalls {
    const { clock } = this.runtime;
    if (clock.timerSource?.() !== this.#running.timerSource) {
      this.#running = new RunningCalls(this.runtime);
    }
    return this.#running;
  }

  snapshot(): TimeLimitSnapshot {
    const { id, kind, name, options, calls, late } = this;
    const abandoned = calls.timed_out - late.successes - late.failures;
    return { id, kind, name, options, calls: { ...calls }, late: { ...late }, abandoned };
  }
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
