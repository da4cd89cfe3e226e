import { type Work, beginCall, beginsUnstored, unstoredCallEnds } from '../context.js';
import type { PolicySetting, Run, Stage } from '../policy.js';
import { disguise } from '../wrap.js';
import type { RetryOptions } from './options.js';
import { RetryPolicy } from './retry.js';
import type { RetryConfig } from './retry-config.js';
import { RetryRun, refusePromise } from './retry-run.js';

/** Retries a synchronous function, blocking the thread between the attempts. */
export class SyncRetryPolicy extends RetryPolicy {
  readonly synchronous = true;

  override link(next: Run, around: readonly Stage[]): Run {
    return (work, self, args, call) => {
      const target = { work, self, args, call: call.forAttempt(1) };
      const { rules } = this;
      const startedAt = this.begin(rules, around);
      const unstored = beginsUnstored(target.call);
      let value: unknown;
      try {
        value = next(work, self, args, target.call);
        if (unstored) unstoredCallEnds();
      } catch (error) {
        if (unstored) unstoredCallEnds();
        return new RetryRun(rules, next, target, startedAt).afterSync({ error });
      }
      refusePromise(value, this);
      if (rules.decision.readsValues && rules.decision.retriesValue(value)) {
        return new RetryRun(rules, next, target, startedAt).afterSync({ value });
      }
      this.calls.first_try++;
      return value;
    };
  }

  /** The function under this retry; it stays synchronous. */
  wrapSync<F extends Work>(work: F): F {
    const { runSync } = this.compiled();
    const wrapper = function (this: unknown, ...args: unknown[]): unknown {
      return runSync(work, this, args, beginCall());
    };
    return disguise(wrapper, work) as F;
  }
}

/** A function whose result is there when it returns. */
// `any`: the parameters are the caller's.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type SyncFunction = (this: any, ...args: any[]) => unknown;

/**
 * Gives a synchronous function retries. It **blocks the thread** between the attempts
 * (`Atomics.wait`): for scripts and start-up code, not for a server that answers requests.
 *
 * @example
 * const fetchConfig = retrySync({ maxAttempts: 3, baseDelay: '500ms' })(() => readFileSync(path));
 * @throws ResilienceConfigError naming every option that breaks its rule
 */
export function retrySync(
  options?: RetryOptions | RetryConfig,
  setting?: PolicySetting,
): <F extends SyncFunction>(
  work: ReturnType<F> extends PromiseLike<unknown> ? 'use withRetry for asynchronous functions' : F,
) => F {
  const policy = new SyncRetryPolicy(options, setting);
  return (work) => policy.wrapSync(work as Work) as never;
}
