import type { CallContext } from '../call-context.js';
import type { Work } from '../context.js';
import { deliverTo } from '../deliver.js';
import type { Receiver, Run } from '../policy.js';
import { type FailedAttempt, type RetriedCall, RetryRun } from './retry-run.js';
import type { RetryRules } from './retry.js';

/** The first attempt of a call whose answer goes to a receiver. */
export class FirstAttempt implements Receiver, RetriedCall {
  constructor(
    private readonly rules: RetryRules,
    private readonly next: Run,
    readonly work: Work,
    readonly self: unknown,
    readonly args: readonly unknown[] | undefined,
    readonly call: CallContext,
    private readonly startedAt: number,
    private readonly receiver: Receiver,
  ) {}

  get promise(): Promise<unknown> | undefined {
    return this.receiver.promise;
  }

  succeed(value: unknown): void {
    const { decision, policy } = this.rules;
    if (decision.readsValues && decision.retriesValue(value)) {
      this.again({ value });
      return;
    }
    policy.calls.first_try++;
    this.receiver.succeed(value);
  }

  fail(error: unknown): void {
    this.again({ error });
  }

  private again(failed: FailedAttempt): void {
    const run = new RetryRun(this.rules, this.next, this, this.startedAt);
    deliverTo(this.receiver, run.after(failed));
  }
}
