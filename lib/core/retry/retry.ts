import { PLAIN, type Work, followsPlainCalls, plainCallBegins, plainCallEnds } from '../context.js';
import type { RetryExhaustedReason } from '../errors.js';
import {
  type Layer,
  Policy,
  type PolicySetting,
  type PolicySnapshot,
  type Run,
} from '../policy.js';
import { type Runtime, runtimeWith } from '../runtime.js';
import { type LiveOptions, changedOptions, givenOptions } from '../live-options.js';
import { type ResolvedRetryOptions, type RetryOptions, retrySchema } from './options.js';
import { type RetryBudget, requireBudget } from './retry-budget.js';
import { RetryConfig, resolveRetryOptions } from './retry-config.js';
import { RetryDecision } from './retry-decision.js';
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

  #rulesOf(options: ResolvedRetryOptions): RetryRules {
    const { name, runtime } = this;
    const budget = requireBudget(options.budget, `retry(${name})`);
    return { options, decision: new RetryDecision(options, name, runtime.logger), budget };
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
    const given = changes instanceof RetryConfig ? {} : this.#given; // which is complete
    const live: LiveOptions<ResolvedRetryOptions> = { given, inForce: this.options };
    const changed = changedOptions(live, changes, retrySchema, `retry(${this.name})`);
    const rules = this.#rulesOf(changed.inForce);
    return () => {
      this.#given = changed.given;
      this.rules = rules;
    };
  }

  stages(): [Layer] {
    return [this];
  }

  link(next: Run): Run {
    return (work, self, args, call) => {
      const first = call.forAttempt(1);
      const { rules } = this;
      rules.budget?.deposit();
      this.attempts++;
      const startedAt = rules.options.maxDuration === undefined ? 0 : this.runtime.clock.now();
      // Looked up before the work, which may be the first to ask for its context.
      const plain = first === PLAIN && !followsPlainCalls() && !rules.decision.readsValues;
      let counted = false;
      // The one closure that a successful call makes.
      const retries = (error: unknown): Promise<unknown> => {
        if (counted) plainCallEnds();
        return this.#again(rules, next, { work, self, args, call: first }, startedAt, { error });
      };
      let result: unknown;
      try {
        result = next(work, self, args, first);
      } catch (error) {
        return retries(error);
      }
      const promise = result instanceof Promise ? result : Promise.resolve(result);
      if (plain) {
        counted = true;
        plainCallBegins();
        return promise.then(this.#onFirstPlain, retries);
      }
      if (!rules.decision.readsValues) return promise.then(this.#onFirst, retries);
      const target = { work, self, args, call: first };
      return promise.then(
        (value) => this.#judgeFirst(rules, next, target, startedAt, value),
        retries,
      );
    };
  }

  #judgeFirst(
    rules: RetryRules,
    next: Run,
    target: RetriedCall,
    startedAt: number,
    value: unknown,
  ): unknown {
    if (!rules.decision.retriesValue(value)) return this.#onFirst(value);
    return this.#again(rules, next, target, startedAt, { value });
  }

  #again(
    rules: RetryRules,
    next: Run,
    target: RetriedCall,
    startedAt: number,
    failed: FailedAttempt,
  ): Promise<unknown> {
    return new RetryRun(this, rules, next, target, startedAt).after(failed);
  }

  readonly #onFirst = (value: unknown): unknown => {
    this.calls.first_try++;
    return value;
  };

  readonly #onFirstPlain = (value: unknown): unknown => {
    plainCallEnds();
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
