import { AsyncPlace } from './async-place.js';
import { AbortError, type Cancellation } from './cancellation.js';
import type { CallContext } from './call-context.js';
import type { Runtime } from './runtime.js';
import { type Link, TimedQueue } from './timed-queue.js';

/** What a queue of waiting calls is for. */
export interface WaitRules {
  /** When the first in line is to be told, on the clock; Infinity for never. */
  dueAt(first: Waiter): number;
  /** That instant has come; it has left the queue. */
  due(waiter: Waiter): void;
  /** It was aborted, or the application shuts down; it has left the queue. */
  aborted(): void;
}

/** Calls that wait for their turn: first in, first out; an aborted one leaves at once. */
export class WaitQueue extends TimedQueue<Waiter> {
  constructor(
    runtime: Runtime,
    private readonly rules: WaitRules,
  ) {
    super(runtime);
  }

  /** @returns what `start` gives when the call is admitted; rejects when it is refused or given up */
  join(call: CallContext, start: () => Promise<unknown>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const since = this.runtime.clock.now();
      const waiter = new Waiter(since, call, start, resolve, reject);
      if (this.runtime.lifetime?.ended === true) this.#giveUp(waiter, shuttingDown());
      else if (call.cancellation?.aborted === true) this.#giveUp(waiter, call.cancellation.reason);
      else this.#enqueue(waiter, call.cancellation);
    });
  }

  #enqueue(waiter: Waiter, cancellation: Cancellation | undefined): void {
    this.add(waiter);
    waiter.ignoreAbort = cancellation?.onAbort((reason) => {
      this.remove(waiter);
      this.#giveUp(waiter, reason);
    });
  }

  /** An abort that comes now, of a listener who is told of it, does not take it out again. */
  override remove(waiter: Waiter): void {
    waiter.ignoreAbort?.();
    super.remove(waiter);
  }

  protected dueAt(first: Waiter): number {
    return this.rules.dueAt(first);
  }

  protected due(waiter: Waiter): void {
    this.rules.due(waiter);
  }

  protected shutDown(): void {
    for (let first = this.first; first !== undefined; first = this.first) {
      this.remove(first);
      this.#giveUp(first, shuttingDown());
    }
  }

  #giveUp(waiter: Waiter, reason: unknown): void {
    this.rules.aborted();
    waiter.refuse(reason);
  }
}

const shuttingDown = (): AbortError => new AbortError('Shutting down');

/** One waiting call. */
export class Waiter implements Link<Waiter> {
  previous: Waiter | undefined;
  next: Waiter | undefined;
  /** Takes the listener off the call's cancellation. */
  ignoreAbort: (() => void) | undefined;
  readonly #place = new AsyncPlace();

  constructor(
    readonly since: number,
    private readonly call: CallContext,
    private readonly start: () => Promise<unknown>,
    private readonly resolve: (result: Promise<unknown>) => void,
    private readonly reject: (reason: unknown) => void,
  ) {}

  /** Nobody waits for it any more, although neither its time limit nor its abort has told it yet. */
  get expired(): boolean {
    return this.call.cancellation?.aborted === true || this.call.remainingTime === 0;
  }

  /** Does something for it in its own async context. */
  inPlace(act: () => void): void {
    this.#place.runInAsyncScope(act);
  }

  /** Starts it before this returns, in its own async context, not in that of the call which made room. */
  admit(): void {
    this.resolve(this.#place.runInAsyncScope(this.start));
    this.#place.emitDestroy();
  }

  refuse(reason: unknown): void {
    this.reject(reason);
    this.#place.emitDestroy();
  }
}
