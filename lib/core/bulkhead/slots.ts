import type { CallContext } from '../context.js';
import { BulkheadRejectedError, withoutStack } from '../errors.js';
import type { Gate, Layer, Pass } from '../policy.js';
import type { Runtime } from '../runtime.js';
import { WaitQueue, type WaitRules, type Waiter } from '../wait-queue.js';
import type { ResolvedBulkheadOptions } from './options.js';
import { SlotLayer } from './slot-layer.js';

/** What became of calls that wanted a slot. */
export type BulkheadOutcome = 'accepted' | 'rejected' | 'queue_timeout' | 'aborted';

/** The slots of a bulkhead and the calls that wait for one. As a gate it admits without waiting. */
export class Slots implements Gate, Pass, WaitRules {
  readonly calls: Record<BulkheadOutcome, number> = {
    accepted: 0,
    rejected: 0,
    queue_timeout: 0,
    aborted: 0,
  };
  inUse = 0;
  readonly lasting: Layer = new SlotLayer(this);
  readonly #queue: WaitQueue;

  constructor(
    private readonly name: string,
    private readonly options: ResolvedBulkheadOptions,
    private readonly runtime: Runtime,
  ) {
    this.#queue = new WaitQueue(runtime, this);
  }

  get queued(): number {
    return this.#queue.size;
  }

  admit(): Pass | undefined {
    if (this.take()) return this;
    this.#reject();
    return undefined;
  }

  #reject(): void {
    this.calls.rejected++;
    this.#tell('full');
  }

  #tell(reason: 'full' | 'queue_timeout'): void {
    const { events } = this.runtime;
    const { name } = this;
    if (events?.listening === true) {
      events.emit('bulkhead.rejected', { id: `bulkhead:${name}`, name }, { reason });
    }
  }

  /** Takes a free slot. There is none while calls wait: each that is given back goes to the first. */
  take(): boolean {
    if (this.inUse >= this.options.maxConcurrent) return false;
    this.inUse++;
    this.calls.accepted++;
    return true;
  }

  refusal(): Error {
    const make = (): Error => new BulkheadRejectedError(this.name);
    return this.options.captureStack ? make() : withoutStack(make);
  }

  // One object is the pass of every call: a slot is a number, and each gives one back.

  readonly onSuccess = (value: unknown): unknown => {
    this.release();
    return value;
  };

  readonly onFailure = (error: unknown): never => {
    this.release();
    throw error;
  };

  succeed(): void {
    this.release();
  }

  fail(): void {
    this.release();
  }

  /** Hands the slot to the first that waits. */
  release(): void {
    for (let next = this.#queue.first; next !== undefined; next = next.next) {
      if (next.expired) continue; // its time limit is about to take it out
      this.#queue.remove(next);
      this.calls.accepted++;
      next.admit();
      return;
    }
    this.inUse--;
  }

  /** Starts the call when its turn comes; rejects when there is no room, or the wait ends otherwise. */
  acquire(call: CallContext, start: () => Promise<unknown>): Promise<unknown> {
    if (this.#queue.size < this.options.maxQueue) return this.#queue.join(call, start);
    this.#reject();
    return Promise.reject(this.refusal());
  }

  // The rules of the queue.

  dueAt(first: Waiter): number {
    return first.since + (this.options.queueTimeout ?? Infinity);
  }

  due(waiter: Waiter): void {
    this.calls.queue_timeout++;
    this.#tell('queue_timeout');
    waiter.refuse(this.refusal());
  }

  aborted(): void {
    this.calls.aborted++;
  }
}
