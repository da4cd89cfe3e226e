import { isAbortError } from '../cancellation.js';
import { isUselessPromise } from '../thenable.js';
import type { CallContext } from '../call-context.js';
import type { Work } from '../context.js';
import { RetryExhaustedError, type RetryExhaustedReason } from '../errors.js';
import type { Run } from '../policy.js';
import { isStreamShown } from '../result-kind.js';
import { tell } from '../runtime.js';
import { wait } from '../wait.js';
import { delayAfter } from './backoff.js';
import type { RetryPolicy, RetryRules } from './retry.js';
import { leastDelay } from './retry-after.js';

/** What an attempt brought that is worth another: an error, or a value the caller does not want. */
export type FailedAttempt = { readonly error: unknown } | { readonly value: unknown };

export interface RetriedCall {
  readonly work: Work;
  readonly self: unknown;
  readonly args: readonly unknown[] | undefined;
  readonly call: CallContext;
}

/** The attempts of one call after its first has failed. */
export class RetryRun {
  #attempt = 1;
  #delay: number | undefined;

  constructor(
    private readonly rules: RetryRules,
    private readonly next: Run,
    private readonly target: RetriedCall,
    private readonly startedAt: number,
  ) {}

  private get policy(): RetryPolicy {
    return this.rules.policy;
  }

  /** @returns the value of the attempt that succeeded; rejects as R2, R3 and R5 say */
  async after(failed: FailedAttempt): Promise<unknown> {
    for (let last = failed; ;) {
      const step = this.#decide(last);
      if ('done' in step) return step.done;
      await this.#wait(step.delay, last);
      if (this.target.call.remainingTime === 0) return this.#giveUp(last, 'deadline'); // it ended late
      const outcome = await this.#tryAgain();
      if ('done' in outcome) return outcome.done;
      last = outcome;
    }
  }

  /** The same for a synchronous function: blocks the thread between the attempts. */
  afterSync(failed: FailedAttempt): unknown {
    for (let last = failed; ;) {
      const step = this.#decide(last);
      if ('done' in step) return step.done;
      this.policy.runtime.clock.sleepSync(step.delay);
      this.policy.waited += step.delay;
      if (this.target.call.remainingTime === 0) return this.#giveUp(last, 'deadline');
      const outcome = this.#tryAgainSync();
      if ('done' in outcome) return outcome.done;
      last = outcome;
    }
  }

  /** The wait before the next attempt, or the unwanted value to return; throws to end the call. */
  #decide(failed: FailedAttempt): { delay: number } | { done: unknown } {
    const { options } = this.rules;
    const { calls } = this.policy;
    this.#passThrough(failed);
    if (this.target.call.progress?.committed === true) {
      calls.not_retryable++;
      return { done: valueOf(failed) };
    }
    if (this.#attempt >= options.maxAttempts) return { done: this.#giveUp(failed, 'attempts') };
    this.#stopIfGivenUp();
    const delay = this.#nextDelay(failed);
    if (delay === undefined) {
      calls.not_retryable++;
      return { done: valueOf(failed) };
    }
    const reason = this.#reasonToStop(delay);
    if (reason !== undefined) return { done: this.#giveUp(failed, reason) };
    this.#tellListener(failed, delay);
    this.#delay = delay;
    return { delay };
  }

  /** Throws what is not to be retried, as it is. */
  #passThrough(failed: FailedAttempt): void {
    if (!('error' in failed)) return;
    const { calls } = this.policy;
    const { decision } = this.rules;
    const { call } = this.target;
    const { error } = failed;
    if (isStreamShown(error)) {
      this.policy.attempts--;
      throw error;
    }
    const isCallers = call.abortedWith(error);
    if (!isCallers && decision.retriesError(error)) return;
    calls[isCallers || isAbortError(error) ? 'aborted' : 'not_retryable']++;
    throw error;
  }

  /** A caller who has left is not waited for, whatever error its abort has become. */
  #stopIfGivenUp(): void {
    const { cancellation } = this.target.call;
    if (cancellation?.aborted !== true || !this.target.call.abortedWith(cancellation.reason))
      return;
    this.policy.calls.aborted++;
    throw cancellation.reason;
  }

  /** The wait before the next attempt; a back-off function that throws gives none. */
  #nextDelay(failed: FailedAttempt): number | undefined {
    const { options } = this.rules;
    const { runtime } = this.policy;
    const error = errorOf(failed);
    try {
      const delay = delayAfter(options, {
        attempt: this.#attempt,
        error,
        previousDelay: this.#delay ?? options.baseDelay,
        random: runtime.random,
      });
      return Math.max(delay, leastDelay(options, error, runtime));
    } catch (thrown) {
      runtime.logger.error(`Retry "${this.policy.name}": backoff threw; not retried`, thrown);
      return undefined;
    }
  }

  #reasonToStop(delay: number): RetryExhaustedReason | undefined {
    const { options, budget } = this.rules;
    const { runtime } = this.policy;
    const { cancellation, remainingTime } = this.target.call;
    const ends = runtime.clock.now() + delay;
    if (options.maxDuration !== undefined && ends - this.startedAt > options.maxDuration) {
      return 'duration';
    }
    // Gone by already, and forgotten with the call that it ended: a caller who left is known by now.
    if (cancellation?.aborted === true) return 'deadline';
    // An attempt that begins at the deadline is as pointless as one that begins after it.
    if (remainingTime !== undefined && delay >= remainingTime) return 'deadline';
    return budget?.withdraw() === false ? 'budget' : undefined;
  }

  #giveUp(failed: FailedAttempt, reason: RetryExhaustedReason): unknown {
    this.policy.calls[reason]++;
    const { events } = this.policy.runtime;
    if (events?.listening === true) {
      const error = errorOf(failed);
      events.emit('retry.exhausted', this.policy, { attempts: this.#attempt, error, reason });
    }
    if ('value' in failed) return failed.value;
    const lastException = failed.error;
    throw new RetryExhaustedError({ attempts: this.#attempt, lastException, reason });
  }

  #tellListener(failed: FailedAttempt, delay: number): void {
    const { options } = this.rules;
    const { runtime, name } = this.policy;
    const { events } = runtime;
    const error = errorOf(failed);
    if (events?.listening === true) {
      events.emit('retry.scheduled', this.policy, { attempt: this.#attempt, error, delay });
    }
    tell(
      () => options.onRetry?.(this.#attempt, error, delay),
      (thrown) => runtime.logger.error(`Retry "${name}": onRetry threw; the retry goes on`, thrown),
    );
  }

  async #wait(delay: number, failed: FailedAttempt): Promise<void> {
    const { policy, target } = this;
    const began = policy.runtime.clock.now();
    try {
      const { cancellation } = target.call;
      await wait(delay, policy.runtime, cancellation, errorOf(failed));
      if (cancellation?.aborted === true) throw cancellation.reason; // since the timer fired
    } catch (reason) {
      policy.calls.aborted++;
      throw reason;
    } finally {
      policy.waited += policy.runtime.clock.now() - began;
    }
  }

  async #tryAgain(): Promise<FailedAttempt | { done: unknown }> {
    try {
      return this.#judge(await this.#runNext());
    } catch (error) {
      return { error };
    }
  }

  #tryAgainSync(): FailedAttempt | { done: unknown } {
    let value: unknown;
    try {
      value = this.#runNext();
    } catch (error) {
      return { error };
    }
    refusePromise(value, this.policy);
    return this.#judge(value);
  }

  #runNext(): unknown {
    const { work, self, args, call } = this.target;
    this.#attempt++;
    this.policy.attempts++;
    return this.next(work, self, args, call.forAttempt(this.#attempt));
  }

  #judge(value: unknown): FailedAttempt | { done: unknown } {
    const { decision } = this.rules;
    const { calls } = this.policy;
    if (decision.readsValues && decision.retriesValue(value)) return { value };
    calls.recovered++;
    const { events } = this.policy.runtime;
    if (events?.listening === true) {
      events.emit('retry.recovered', this.policy, { attempts: this.#attempt });
    }
    return { done: value };
  }
}

/** `undefined` where the attempt had a value. */
function errorOf(failed: FailedAttempt): unknown {
  return 'error' in failed ? failed.error : undefined;
}

/** The value of an attempt that had one; else throws its error. */
function valueOf(failed: FailedAttempt): unknown {
  if ('value' in failed) return failed.value;
  throw failed.error;
}

/** A promise fails when a synchronous retry is over: better to say so than to look protected. */
export function refusePromise(value: unknown, { calls }: RetryPolicy): void {
  if (!isUselessPromise(value)) return;
  calls.not_retryable++;
  throw new TypeError(
    'A synchronous retry got a promise; use @Retry() or withRetry() for asynchronous functions',
  );
}
