import type { CallContext } from '../call-context.js';
import { BulkheadRejectedError } from '../errors.js';
import type { Gate, Layer, Pass } from '../policy.js';
import type { Runtime } from '../runtime.js';
import { WaitQueue, type WaitRules, type Waiter } from '../wait-queue.js';
import type { ResolvedBulkheadOptions } from './options.js';
import { SharedPass } from './shared-pass.js';
import { SlotLayer } from './slot-layer.js';
import { withoutStack } from '../without-stack.js';

/** What became of calls that wanted a slot. */
export type BulkheadOutcome = 'accepted' | 'rejected' | 'queue_timeout' | 'aborted';

/** Calls that run without a slot, in shadow mode: counted, and in nobody's way. */
export class SparedCalls extends SharedPass {
  /** Ever. */
  total = 0;
  running = 0;

  admit(): this {
    this.total++;
    this.running++;
    return this;
  }

  release(): void {
    this.running--;
  }

  uncount(): void {
    this.total--;
  }
}

/** The slots of a bulkhead and the calls that wait for one. As a gate it admits without waiting. */
export class Slots extends SharedPass implements Gate, WaitRules {
  readonly calls: Record<BulkheadOutcome, number> = {
    accepted: 0,
    rejected: 0,
    queue_timeout: 0,
    aborted: 0,
  };
  inUse = 0;
  readonly spared = new SparedCalls();
  readonly lasting: Layer = new SlotLayer(this);
  readonly #queue: WaitQueue;
  #room: number;
  #looksAgain = false;

  constructor(
    private readonly name: string,
    private options: ResolvedBulkheadOptions,
    private readonly runtime: Runtime,
  ) {
    super();
    this.#queue = new WaitQueue(runtime, this);
    this.#room = roomUnder(options);
  }

  get queued(): number {
    return this.#queue.size;
  }

  get #isShadow(): boolean {
    return this.options.mode === 'shadow';
  }

  /** Takes on changed options: what runs and waits goes on, and starts where there is room now. */
  configure(options: ResolvedBulkheadOptions): void {
    this.options = options;
    this.#room = roomUnder(options);
    this.#startWaiting();
    this.#queue.reschedule();
  }

  admit(): Pass | undefined {
    if (this.take()) return this;
    if (this.#isShadow) return this.spare();
    this.#reject();
    return undefined;
  }

  #reject(): void {
    this.calls.rejected++;
    this.#tell('bulkhead.rejected', 'full');
  }

  #tell(type: 'bulkhead.rejected', reason: 'full' | 'queue_timeout'): void;
  #tell(type: 'bulkhead.spared', reason: 'full'): void;
  #tell(type: 'bulkhead.rejected' | 'bulkhead.spared', reason: 'full'): void {
    const { events } = this.runtime;
    const { name } = this;
    if (events?.listening === true) events.emit(type, { id: `bulkhead:${name}`, name }, { reason });
  }

  /** Takes a free slot. Each that is given back goes to the first that waits. */
  take(): boolean {
    if (this.inUse >= this.#room || this.#nextInLine !== undefined) return false;
    this.inUse++;
    this.calls.accepted++;
    return true;
  }

  /** Lets a call through that would be rejected. It takes no slot: what is decided next is as it would be. */
  spare(): SparedCalls {
    this.#tell('bulkhead.spared', 'full');
    return this.spared.admit();
  }

  refusal(): Error {
    const make = (): Error => new BulkheadRejectedError(this.name);
    return this.options.captureStack ? make() : withoutStack(make);
  }

  /** Gives the slot back, to the first that waits. */
  release(): void {
    this.inUse--;
    this.#startWaiting();
  }

  uncount(): void {
    this.calls.accepted--;
  }

  /** Looks again after each start: what has just begun may have moved the others, or taken the room. */
  #startWaiting(): void {
    for (let next = this.#nextInLine; next !== undefined && this.#admitsWaiting;) {
      this.#queue.remove(next);
      this.inUse++;
      this.calls.accepted++;
      next.admit();
      next = this.#nextInLine;
    }
    if (this.#queue.size > 0 && this.#admitsWaiting) this.#lookAgain();
  }

  /** Those passed over are about to be taken out, unless the call around one ends first and leaves it. */
  #lookAgain(): void {
    if (this.#looksAgain) return;
    this.#looksAgain = true;
    this.runtime.clock.setTimeout(() => {
      this.#looksAgain = false;
      this.#startWaiting();
    }, 0);
  }

  /** The first whose caller still waits: the timers and aborts of the others are about to take them out. */
  get #nextInLine(): Waiter | undefined {
    let next = this.#queue.first;
    while (next !== undefined && this.#isOver(next)) next = next.next;
    return next;
  }

  #isOver(waiter: Waiter): boolean {
    return waiter.expired || this.dueAt(waiter) < this.runtime.clock.now();
  }

  get #admitsWaiting(): boolean {
    return this.#isShadow || this.inUse < this.#room;
  }

  /**
   * Starts the call when its turn comes; rejects when there is no room, or the wait ends otherwise. In
   * shadow mode it starts `spared` at once.
   */
  acquire(
    call: CallContext,
    start: () => Promise<unknown>,
    spared: () => Promise<unknown>,
  ): Promise<unknown> {
    if (this.#isShadow) {
      this.spare();
      return spared();
    }
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
    waiter.inPlace(() => this.#tell('bulkhead.rejected', 'queue_timeout'));
    waiter.refuse(this.refusal());
  }

  aborted(): void {
    this.calls.aborted++;
  }
}

/** In shadow mode nobody waits: a call that would starts at once, in the queue's place until it ends. */
function roomUnder({ mode, maxConcurrent, maxQueue }: ResolvedBulkheadOptions): number {
  return mode === 'shadow' ? maxConcurrent + maxQueue : maxConcurrent;
}
