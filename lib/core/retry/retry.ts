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
import { type LiveOptions, changedOptions } from '../live-options.js';
import { type ResolvedRetryOptions, type RetryOptions, retrySchema } from './options.js';
import { type RetryBudget, requireBudget } from './retry-budget.js';
import { RetryConfig, resolveRetryOptions } from './retry-config.js';
import { RetryDecision } from './retry-decision.js';
import { type FailedAttempt, RetryRun } from './retry-run.js';

/** How calls under a retry ended. */
export type RetryOutcome =
  'first_try' | 'recovered' | 'not_retryable' | 'aborted' | RetryExhaustedReason;

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
    this.#given = options ?? {};
    this.rules = this.#rulesOf(resolveRetryOptions(options, `retry(${this.name})`));
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
      const retries = (failed: FailedAttempt): Promise<unknown> =>
        new RetryRun(this, rules, next, { work, self, args, call: first }, startedAt).after(failed);
      const startedAt = rules.options.maxDuration === undefined ? 0 : this.runtime.clock.now();
      // Looked up before the work, which may be the first to ask for its context.
      const followed = first !== PLAIN || followsPlainCalls();
      let result: unknown;
      try {
        result = next(work, self, args, first);
      } catch (error) {
        return retries({ error });
      }
      return this.#settleFirst(result, rules.decision, followed, retries);
    };
  }

  /** One promise hop when the first attempt succeeds, which is nearly always. */
  #settleFirst(
    result: unknown,
    decision: RetryDecision,
    followed: boolean,
    retries: (failed: FailedAttempt) => Promise<unknown>,
  ): Promise<unknown> {
    const promise = result instanceof Promise ? result : Promise.resolve(result);
    if (decision.readsValues) {
      return promise.then(
        (value) => (decision.retriesValue(value) ? retries({ value }) : this.#onFirst(value)),
        (error: unknown) => retries({ error }),
      );
    }
    if (followed) {
      return promise.then(this.#onFirst, (error: unknown) => retries({ error }));
    }
    plainCallBegins();
    return promise.then(this.#onFirstPlain, (error: unknown) => {
      plainCallEnds();
      return retries({ error });
    });
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
