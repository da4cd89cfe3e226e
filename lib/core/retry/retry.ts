import { type Work, beginsUnstored, unstoredCallEnds } from '../context.js';
import { promising } from '../deliver.js';
import type { RetryExhaustedReason } from '../errors.js';
import {
  type Deliver,
  type Layer,
  Policy,
  type PolicySetting,
  type PolicySnapshot,
  type Run,
  type Stage,
} from '../policy.js';
import { type Runtime, runtimeWith } from '../runtime.js';
import { type LiveOptions, changedOptions, givenOptions, prepared } from '../live-options.js';
import { type ResolvedRetryOptions, type RetryOptions, retrySchema } from './options.js';
import { type RetryBudget, payInto, requireBudget } from './retry-budget.js';
import { type RetryConfig, isRetryConfig, resolveRetryOptions } from './retry-config.js';
import { RetryDecision } from './retry-decision.js';
import { FirstAttempt } from './first-attempt.js';
import { type FailedAttempt, type RetriedCall, RetryRun } from './retry-run.js';

/** How calls under a retry ended. */
export type RetryOutcome =
  'first_try' | 'recovered' | 'not_retryable' | 'aborted' | RetryExhaustedReason;

/** What a retry has done: `calls` by how they ended; counters only go up. */
export interface RetrySnapshot extends PolicySnapshot {
  readonly calls: Readonly<Record<RetryOutcome, number>>;
  /** Attempts made, first ones included. */
  readonly attempts: number;
  /** Milliseconds spent waiting between attempts. */
  readonly waited: number;
}

/** What a call goes by, from its first attempt to its last. */
export interface RetryRules {
  readonly policy: RetryPolicy;
  readonly options: ResolvedRetryOptions;
  readonly decision: RetryDecision;
  readonly budget: RetryBudget | undefined;
}

/** Runs the work again when it fails, with growing, jittered waits. Made by `retry()`. */
export class RetryPolicy extends Policy implements Layer {
  readonly kind = 'retry';
  readonly name: string;
  readonly runtime: Runtime;
  readonly calls: Record<RetryOutcome, number> = {
    first_try: 0,
    recovered: 0,
    not_retryable: 0,
    attempts: 0,
    duration: 0,
    budget: 0,
    deadline: 0,
    aborted: 0,
  };
  attempts = 0;
  waited = 0;
  /** As they are for calls that begin now. */
  rules: RetryRules;
  #given: object;

  constructor(options?: RetryOptions | RetryConfig, setting: PolicySetting = {}) {
    super(setting);
    this.name = setting.name ?? 'retry';
    this.runtime = runtimeWith(setting.runtime);
    this.rules = this.#rulesOf(resolveRetryOptions(options, `retry(${this.name})`));
    this.#given = givenOptions(options, this.options);
  }

  /** The options in force: frozen, durations in milliseconds. */
  get options(): ResolvedRetryOptions {
    return this.rules.options;
  }

  get budget(): RetryBudget | undefined {
    return this.rules.budget;
  }

  #rulesOf(options: ResolvedRetryOptions): RetryRules {
    const { name, runtime } = this;
    const budget = requireBudget(options.budget, `retry(${name})`);
    return {
      policy: this,
      options,
      decision: new RetryDecision(options, name, runtime.logger),
      budget,
    };
  }

  /**
   * Changes options while it works: all of `changes` or, where one breaks its rule, none. Calls that
   * have begun end under the options that they began with.
   * @throws ResilienceConfigError naming every option that breaks its rule, or that cannot change
   */
  configure(changes: RetryOptions | RetryConfig): void {
    this.prepare(changes)();
  }

  /**
   * Checks a change and gives what makes it: for several policies that change all or none.
   * @throws ResilienceConfigError as `configure` does
   */
  prepare(changes: RetryOptions | RetryConfig): () => void {
    return prepared(changes, (asked) => {
      const given = isRetryConfig(asked) ? {} : this.#given; // which is complete
      const live: LiveOptions<ResolvedRetryOptions> = { given, inForce: this.options };
      const changed = changedOptions(live, asked, retrySchema, `retry(${this.name})`);
      const rules = this.#rulesOf(changed.inForce);
      return () => {
        this.#given = changed.given;
        this.rules = rules;
      };
    });
  }

  stages(): [Layer] {
    return [this];
  }

  link(next: Run, around: readonly Stage[]): Run {
    return (work, self, args, call) => {
      const { rules } = this;
      const startedAt = this.begin(rules, around);
      const first = call.forAttempt(1);
      const unstored = beginsUnstored(first);
      // The one closure that a successful call makes.
      const retries = (error: unknown): Promise<unknown> => {
        if (unstored) unstoredCallEnds();
        return this.#again(rules, next, { work, self, args, call: first }, startedAt, { error });
      };
      let promise: Promise<unknown>;
      try {
        const result = next(work, self, args, first);
        promise = result instanceof Promise ? result : Promise.resolve(result);
      } catch (error) {
        return retries(error);
      }
      const onFirst = unstored ? this.#onFirstUnstored : this.#onFirst;
      if (!rules.decision.readsValues) return promise.then(onFirst, retries);
      return promise.then((value) => {
        if (!rules.decision.retriesValue(value)) return onFirst(value);
        if (unstored) unstoredCallEnds();
        const target = { work, self, args, call: first };
        return this.#again(rules, next, target, startedAt, { value });
      }, retries);
    };
  }

  deliver(next: Deliver, around: readonly Stage[]): Deliver {
    const again = promising(next);
    return (work, self, args, call, receiver) => {
      const { rules } = this;
      const startedAt = this.begin(rules, around);
      const first = call.forAttempt(1);
      const attempt = new FirstAttempt(rules, again, work, self, args, first, startedAt, receiver);
      next(work, self, args, first, attempt);
    };
  }

  /** @returns when the call began, where that matters */
  protected begin({ budget, options }: RetryRules, around: readonly Stage[]): number {
    payInto(budget, around);
    this.attempts++;
    return options.maxDuration === undefined ? 0 : this.runtime.clock.now();
  }

  /** The call's further attempts, after one that `failed`. */
  #again(
    rules: RetryRules,
    next: Run,
    target: RetriedCall,
    startedAt: number,
    failed: FailedAttempt,
  ): Promise<unknown> {
    return new RetryRun(rules, next, target, startedAt).after(failed);
  }

  readonly #onFirst = (value: unknown): unknown => {
    this.calls.first_try++;
    return value;
  };

  readonly #onFirstUnstored = (value: unknown): unknown => {
    unstoredCallEnds();
    this.calls.first_try++;
    return value;
  };

  snapshot(): RetrySnapshot {
    const { id, kind, name, options, calls, attempts, waited } = this;
    return { id, kind, name, options, calls: { ...calls }, attempts, waited };
  }
}

/**
 * A retry to be used alone or in a pipeline.
 *
 * @example
 * const user = await retry({ maxAttempts: 5 }).execute(({ signal }) => fetch(url, { signal }));
 * @throws ResilienceConfigError naming every option that breaks its rule
 */
export function retry(options?: RetryOptions | RetryConfig, setting?: PolicySetting): RetryPolicy {
  return new RetryPolicy(options, setting);
}

/** A function whose result can be awaited. */
/* eslint-disable @typescript-eslint/no-explicit-any -- the parameters are the caller's */
export type AsyncFunction = (
  this: any,
  ...args: any[]
) => PromiseLike<unknown> | AsyncIterable<unknown>;
/* eslint-enable @typescript-eslint/no-explicit-any */

/**
 * Gives an asynchronous function retries; it keeps its signature, `this`, `name` and `length`.
 *
 * @example
 * const fetchData = withRetry({ maxAttempts: 3 })(() => api.get('/data'));
 * @throws ResilienceConfigError naming every option that breaks its rule
 */
export function withRetry(
  options?: RetryOptions | RetryConfig,
  setting?: PolicySetting,
): <F extends AsyncFunction>(work: F) => F {
  const policy = retry(options, setting);
  return (work) => policy.wrap(work as Work) as typeof work;
}
