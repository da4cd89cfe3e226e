import { CancelScope } from './cancellation.js';
import type { CallContext, Deadline } from './context.js';
import { TimeoutError, withoutStack } from './errors.js';
import type { Clock, Runtime } from './runtime.js';
import { type Link, TimedQueue } from './timed-queue.js';
import type { TimeLimitPolicy } from './time-limit.js';

/** A call that is told when its limit has come. */
interface TimedCall extends Link<TimedCall> {
  readonly at: number;
  timeOut(): void;
}

/** The calls under one limit. As it is the same for all, they run out in the order they came in. */
export class RunningCalls extends TimedQueue<TimedCall> {
  readonly timerSource = this.runtime.clock.timerSource?.();

  constructor(
    runtime: Runtime,
    /** Milliseconds. */
    readonly limit: number,
  ) {
    super(runtime);
  }

  protected dueAt(first: TimedCall): number {
    return first.at;
  }

  protected due(call: TimedCall): void {
    call.timeOut();
  }

  /** The timer stays set for the next call: setting and clearing one for each costs 300 ns. */
  protected override emptied(): void {
    this.doze();
  }

  protected shutDown(): void {
    // Nobody is released early; what runs runs on.
  }
}

/** One call: what aborts its work, its deadline, and its place among the others, in one allocation. */
export class LimitedCall extends CancelScope implements Deadline, TimedCall {
  readonly clock: Clock;
  readonly at: number;
  previous: TimedCall | undefined;
  next: TimedCall | undefined;
  #timedOut = false;

  constructor(
    private readonly policy: TimeLimitPolicy,
    private readonly running: RunningCalls,
    private readonly call: CallContext,
    private readonly resolve: (value: unknown) => void,
    private readonly reject: (error: unknown) => void,
  ) {
    super(call.cancellation);
    this.clock = policy.runtime.clock;
    this.at = this.clock.now() + running.limit;
    running.add(this);
  }

  succeed(value: unknown): void {
    if (this.#timedOut) {
      this.policy.late.successes++;
      this.call.lingering?.ends();
    } else {
      this.#settleInTime();
      this.resolve(value);
    }
  }

  fail(error: unknown): void {
    if (this.#timedOut) {
      this.policy.late.failures++;
      this.call.lingering?.ends();
    } else {
      this.#settleInTime();
      this.reject(error);
    }
  }

  timeOut(): void {
    const { policy, call } = this;
    const { limit } = this.running;
    const error = withoutStack(() => new TimeoutError(limit)); // it would show a timer, not the caller
    this.#timedOut = true;
    policy.calls.timed_out++;
    const { events } = policy.runtime;
    if (events?.listening === true) events.emit('time-limit.exceeded', policy, { limit });
    call.lingering?.begins();
    this.reject(error);
    this.abort(error);
  }

  /** Nothing aborts the signal of work that has settled. */
  #settleInTime(): void {
    this.policy.calls.in_time++;
    this.running.remove(this);
    this.close();
  }
}

/** A call in shadow mode: nobody is released at its limit, and its work is not told. */
export class WatchedCall implements TimedCall {
  readonly at: number;
  previous: TimedCall | undefined;
  next: TimedCall | undefined;
  #overdue = false;

  constructor(
    private readonly policy: TimeLimitPolicy,
    private readonly running: RunningCalls,
  ) {
    this.at = policy.runtime.clock.now() + running.limit;
    running.add(this);
  }

  settle(): void {
    if (this.#overdue) return;
    this.policy.calls.in_time++;
    this.running.remove(this);
  }

  timeOut(): void {
    const { policy } = this;
    this.#overdue = true;
    policy.calls.would_time_out++;
    const { events } = policy.runtime;
    if (events?.listening === true) {
      events.emit('time-limit.spared', policy, { limit: this.running.limit });
    }
  }
}
