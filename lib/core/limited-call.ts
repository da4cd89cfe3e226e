import { type Place, leave, runAt } from './async-place.js';
import { CancelScope } from './cancellation.js';
import type { CallContext, Lingering } from './call-context.js';
import { PassedAnswer } from './deliver.js';
import { TimeoutError } from './errors.js';
import type { Receiver } from './policy.js';
import { isStreamShown } from './result-kind.js';
import { type Link, TimedQueue } from './timed-queue.js';
import type { TimeLimitPolicy } from './time-limit.js';
import { withoutStack } from './without-stack.js';

/** A call that is told when its limit has come. */
interface TimedCall extends Link<TimedCall> {
  readonly at: number;
  timeOut(): void;
}

/** The calls under one limit. As it is the same for all, they run out in the order they came in. */
export class RunningCalls extends TimedQueue<TimedCall> {
  #retired = false;
  readonly timerSource = this.runtime.clock.timerSource?.();

  constructor(
    readonly policy: TimeLimitPolicy,
    /** Milliseconds. */
    readonly limit: number,
  ) {
    super(policy.runtime);
  }

  /** When a call that begins now runs out. */
  get nextAt(): number {
    return this.runtime.clock.now() + this.limit;
  }

  protected dueAt(first: TimedCall): number {
    return first.at;
  }

  protected due(call: TimedCall): void {
    call.timeOut();
  }

  /** No call joins any more: the timer is let go of with the last one. */
  retire(): void {
    this.#retired = true;
    if (this.size === 0) super.emptied();
  }

  /** The timer stays set for the next call: setting and clearing one for each costs 300 ns. */
  protected override emptied(): void {
    if (this.#retired || this.runtime.lifetime?.ended === true) super.emptied();
    else this.doze();
  }

  /** Nobody is released early, and nobody is left without an answer; the process may end before it. */
  protected shutDown(): void {
    if (this.size === 0) super.emptied();
    else this.doze();
  }
}

/**
 * One call: what aborts its work, and when, its place among the others and the receiver of its answer,
 * in one allocation.
 */
export class LimitedCall extends CancelScope implements TimedCall, Receiver {
  readonly at: number;
  previous: TimedCall | undefined;
  next: TimedCall | undefined;

  // Not the context whole: it leads to the calls around this one, of which the ended ones are forgotten.
  private readonly lingering: Lingering | undefined;

  constructor(
    private readonly running: RunningCalls,
    { cancellation, lingering }: CallContext,
    /** Let go of with the answer: abandoned work must not keep what the call ends with. */
    private receiver: Receiver | undefined,
    /** The async context of the call, where a time-out is to be answered in it. */
    public place?: Place,
  ) {
    super(cancellation);
    this.lingering = lingering;
    this.at = running.nextAt;
    running.add(this);
  }

  get promise(): Promise<unknown> | undefined {
    return this.receiver?.promise;
  }

  override get timeLeft(): number {
    return this.at - this.running.policy.runtime.clock.now();
  }

  succeed(value: unknown): void {
    const { receiver } = this;
    if (receiver === undefined) {
      this.running.policy.late.successes++;
      this.endLate();
    } else {
      this.settleInTime();
      receiver.succeed(value);
    }
  }

  fail(error: unknown): void {
    const { receiver } = this;
    if (receiver === undefined) {
      this.running.policy.late.failures++;
      this.endLate();
    } else {
      this.settleInTime();
      if (isStreamShown(error)) this.running.policy.calls.in_time--;
      receiver.fail(error);
    }
  }

  timeOut(): void {
    const { policy, limit } = this.running;
    const receiver = this.receiver as Receiver;
    const error = withoutStack(() => new TimeoutError(limit)); // it would show a timer, not the caller
    this.receiver = undefined;
    policy.calls.timed_out++;
    const tell = (): void => {
      const { events } = policy.runtime;
      if (events?.listening === true) events.emit('time-limit.exceeded', policy, { limit });
      this.lingering?.begins();
      this.abort(error); // before the answer: what tries again must find the work told
      receiver.fail(error);
    };
    const { place } = this;
    this.place = undefined; // a promise has what the call ends with
    if (place === undefined) tell();
    else runAt(place, tell);
    leave(place);
  }

  /** Its caller was answered at the limit. */
  private endLate(): void {
    this.close();
    this.lingering?.ends();
  }

  /** Nothing aborts the signal of work that has settled. */
  private settleInTime(): void {
    this.receiver = undefined;
    this.running.policy.calls.in_time++;
    this.running.remove(this);
    leave(this.place);
    this.place = undefined;
    this.close();
  }
}

/** A call in shadow mode: nobody is released at its limit, and its work is not told. */
export class WatchedCall extends PassedAnswer implements TimedCall {
  readonly at: number;
  previous: TimedCall | undefined;
  next: TimedCall | undefined;
  #overdue = false;

  constructor(
    private readonly running: RunningCalls,
    receiver: Receiver,
  ) {
    super(receiver);
    this.at = running.nextAt;
    running.add(this);
  }

  override fail(error: unknown): void {
    if (isStreamShown(error)) this.running.policy.calls.in_time--;
    super.fail(error);
  }

  protected answered(): void {
    if (this.#overdue) return;
    this.running.policy.calls.in_time++;
    this.running.remove(this);
  }

  timeOut(): void {
    const { policy, limit } = this.running;
    this.#overdue = true;
    policy.calls.would_time_out++;
    const { events } = policy.runtime;
    if (events?.listening === true) events.emit('time-limit.spared', policy, { limit });
  }
}
