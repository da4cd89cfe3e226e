import type { Lingering } from '../call-context.js';
import { beginsUnstored } from '../context.js';
import { PassedAnswer, deliverTo, promising } from '../deliver.js';
import type { Deliver, Layer, Pass, Receiver, Run } from '../policy.js';
import { promised } from '../promised.js';
import { isStreamShown } from '../result-kind.js';
import type { SharedPass } from './shared-pass.js';
import type { Slots } from './slots.js';

/** A bulkhead where it has to wait, or where a layer inside may answer before its work has ended. */
export class SlotLayer implements Layer {
  constructor(private readonly slots: Slots) {}

  /** Everything inside answers when its work ends, so what the call holds is free then. */
  link(next: Run): Run {
    const { slots } = this;
    const holding =
      (held: SharedPass): ((...call: Parameters<Run>) => Promise<unknown>) =>
      (work, self, args, call) => {
        const { onSuccess, onFailure } = beginsUnstored(call)
          ? held.unstoredSettlers
          : held.settlers;
        return promised(next, work, self, args, call).then(onSuccess, onFailure);
      };
    const run = holding(slots);
    const spared = holding(slots.spared);
    return (work, self, args, call) =>
      slots.take()
        ? run(work, self, args, call)
        : slots.acquire(
            call,
            () => run(work, self, args, call),
            () => spared(work, self, args, call),
          );
  }

  /** Something inside may answer early: what the call holds is free when all its work has ended. */
  deliver(next: Deliver): Deliver {
    const { slots } = this;
    const holding =
      (held: SharedPass): Deliver =>
      (work, self, args, call, receiver) => {
        const slot = new HeldSlot(held, call.lingering, receiver);
        next(work, self, args, call.watchedBy(slot), slot);
      };
    const deliver = holding(slots);
    const [run, spared] = [promising(deliver), promising(holding(slots.spared))];
    return (work, self, args, call, receiver) => {
      if (slots.take()) {
        deliver(work, self, args, call, receiver);
        return;
      }
      const answer = slots.acquire(
        call,
        () => run(work, self, args, call),
        () => spared(work, self, args, call),
      );
      deliverTo(receiver, answer);
    };
  }
}

/** One slot of one call, given back when the call has been answered and none of its work goes on. */
export class HeldSlot extends PassedAnswer implements Lingering {
  #open = 1;

  constructor(
    private readonly slots: Pick<Pass, 'release' | 'uncount'>,
    private readonly outer: Lingering | undefined,
    receiver: Receiver,
  ) {
    super(receiver);
  }

  override fail(error: unknown): void {
    if (isStreamShown(error)) this.slots.uncount();
    super.fail(error);
  }

  begins(): void {
    this.#open++;
    this.outer?.begins();
  }

  ends(): void {
    this.outer?.ends();
    this.#oneLess();
  }

  protected answered(): void {
    this.#oneLess();
  }

  #oneLess(): void {
    if (--this.#open === 0) this.slots.release();
  }
}
