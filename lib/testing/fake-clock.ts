import { AsyncLocalStorage } from 'node:async_hooks';
import type { Clock, Timer } from '../core/runtime.js';

interface Pending extends Timer {
  readonly at: number;
  readonly callback: () => void;
  /** As one of Node's: whether it would keep a process alive. */
  referenced: boolean;
}

/**
 * A clock that stands still until it is advanced. Give it to a policy
 * (`{ runtime: { clock } }`) or to a module (`forRoot({ runtime: { clock } })`).
 */
export class FakeClock implements Clock {
  #now: number;
  #wallOffset: number;
  readonly #pending = new Set<Pending>();

  /** @param start the first `now()`, in milliseconds; @param epoch the wall time at that instant */
  constructor(start = 0, epoch = 1_700_000_000_000) {
    this.#now = start;
    this.#wallOffset = epoch - start;
  }

  now(): number {
    return this.#now;
  }

  wallTime(): number {
    return this.#now + this.#wallOffset;
  }

  /** Steps the wall clock alone, as an administrator or NTP would. */
  stepWallTime(by: number): void {
    this.#wallOffset += by;
  }

  /** Timers that have not fired and would keep a process alive. */
  get pendingTimers(): number {
    let referenced = 0;
    for (const timer of this.#pending) if (timer.referenced) referenced++;
    return referenced;
  }

  setTimeout(callback: () => void, delay: number): Timer {
    // As a real timer does, it calls back in the async context in which it was set.
    const inContext = AsyncLocalStorage.snapshot();
    const timer: Pending = {
      at: this.#now + delay,
      callback: () => inContext(callback),
      referenced: true,
      ref: () => (timer.referenced = true),
      unref: () => (timer.referenced = false),
    };
    this.#pending.add(timer);
    return timer;
  }

  clearTimeout(timer: Timer): void {
    this.#pending.delete(timer as Pending);
  }

  sleepSync(delay: number): void {
    this.#now += delay;
  }

  /** Moves time without running anything. */
  jump(by: number): void {
    this.#now += by;
  }

  /** Moves time on by `by` ms and runs each timer at its instant, with the promises that it settles. */
  async advance(by: number): Promise<void> {
    const end = this.#now + by;
    await settlePromises();
    for (let next = this.#nextUntil(end); next !== undefined; next = this.#nextUntil(end)) {
      this.#pending.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.callback();
      await settlePromises();
    }
    this.#now = Math.max(this.#now, end);
  }

  /** Runs timers, however far away, until none is left. */
  async runAll(): Promise<void> {
    await settlePromises();
    for (
      let next = this.#nextUntil(Infinity);
      next !== undefined;
      next = this.#nextUntil(Infinity)
    ) {
      await this.advance(Math.max(0, next.at - this.#now));
    }
  }

  #nextUntil(end: number): Pending | undefined {
    let next: Pending | undefined;
    for (const timer of this.#pending) {
      if (timer.at <= end && (next === undefined || timer.at < next.at)) next = timer;
    }
    return next;
  }
}

const TURNS = 64;
/** One for all turns: what they cost is the promises that they make. */
const resolved = Promise.resolve();

/** Lets chains of settled promises run on; turns of microtasks, since timers may be faked. */
export async function settlePromises(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn++) await resolved;
}
