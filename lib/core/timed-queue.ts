import { AsyncLocalStorage } from 'node:async_hooks';
import type { Runtime, Timer } from './runtime.js';

/** What waits in a TimedQueue carries its links itself: joining and leaving allocate nothing. */
export interface Link<E> {
  previous: E | undefined;
  next: E | undefined;
}

/** A microsecond: sums of fractions of milliseconds are not exact. */
export const ROUNDING = 0.001;

/** Node counts in whole milliseconds and fires up to two of them early. */
const EARLIEST = 2;

/** A shared timer belongs to no call: it must not keep the first one's async context, or hand it on. */
const outsideAnyCall = AsyncLocalStorage.snapshot();

/**
 * Entries in the order in which they come due, under one timer that is set for the first of them and
 * set again only when it fires: joining and leaving cost a few pointers, however many wait.
 */
export abstract class TimedQueue<E extends Link<E>> {
  #first: E | undefined;
  #last: E | undefined;
  #size = 0;
  #timer: Timer | undefined;
  /** For which instant the timer was set, and how long before. */
  #setFor = 0;
  #delay = 0;
  #leaveLifetime: (() => void) | undefined;

  constructor(protected readonly runtime: Runtime) {}

  /** When the first entry comes due, on the clock; Infinity for never. */
  protected abstract dueAt(first: E): number;
  /** The first entry has come due, and has left. It must not throw: the others wait for the same timer. */
  protected abstract due(entry: E): void;
  /** The application shuts down. */
  protected abstract shutDown(): void;

  get first(): E | undefined {
    return this.#first;
  }

  get size(): number {
    return this.#size;
  }

  add(entry: E): void {
    entry.previous = this.#last;
    if (this.#last === undefined) this.#first = entry;
    else this.#last.next = entry;
    this.#last = entry;
    if (this.#size++ === 0) this.#awaken();
  }

  /** Takes out an entry that is in. */
  remove(entry: E): void {
    const { previous, next } = entry;
    if (previous === undefined) this.#first = next;
    else previous.next = next;
    if (next === undefined) this.#last = previous;
    else next.previous = previous;
    entry.previous = entry.next = undefined;
    if (--this.#size === 0) this.emptied();
  }

  /** What `dueAt` says has changed for those who wait; their order has not. */
  reschedule(): void {
    if (this.#size === 0) return;
    if (this.#timer !== undefined) this.runtime.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#setTimer();
  }

  /** Nobody waits any more. */
  protected emptied(): void {
    this.#stop();
  }

  /** Lets the process end although the timer is set. */
  protected doze(): void {
    this.#timer?.unref?.();
  }

  #awaken(): void {
    if (this.#timer !== undefined) {
      if (this.runtime.lifetime?.ended !== true) this.#timer.ref?.();
      return;
    }
    this.#leaveLifetime ??= this.runtime.lifetime?.onEnd(() => this.shutDown());
    this.#setTimer();
  }

  #setTimer(): void {
    const first = this.#first;
    const { clock, lifetime } = this.runtime;
    if (first === undefined || this.#timer !== undefined) return;
    const at = this.dueAt(first);
    if (at === Infinity) return;
    // Rounded up: timers count whole milliseconds, and one that fires early has to be set again.
    const delay = Math.max(0, Math.ceil(at - clock.now() - ROUNDING));
    this.#setFor = at;
    this.#delay = delay;
    this.#timer = outsideAnyCall(() => clock.setTimeout(this.#onTimer, delay));
    if (lifetime?.ended === true) this.doze();
  }

  readonly #onTimer = (): void => {
    this.#timer = undefined;
    const now = this.#reached() + ROUNDING;
    for (let first = this.#first; first !== undefined && this.dueAt(first) <= now;) {
      this.remove(first);
      this.due(first);
      first = this.#first;
    }
    if (this.#first === undefined) this.#stop();
    else this.#setTimer();
  };

  /** A timer with most of its time to come is a faked one beside a real clock: it has fired as it should. */
  #reached(): number {
    const now = this.runtime.clock.now();
    const left = this.#setFor - now;
    return left > EARLIEST && left > this.#delay / 2 ? this.#setFor : now;
  }

  #stop(): void {
    if (this.#timer !== undefined) this.runtime.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#leaveLifetime?.();
    this.#leaveLifetime = undefined;
  }
}
