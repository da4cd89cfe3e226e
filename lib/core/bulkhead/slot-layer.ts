import type { Lingering } from '../context.js';
import type { Layer, Run } from '../policy.js';
import { promised } from '../promised.js';
import type { SharedPass } from './shared-pass.js';
import type { Slots } from './slots.js';

type Start = (...call: Parameters<Run>) => Promise<unknown>;

/** A bulkhead where it has to wait, or where a layer inside may answer before its work has ended. */
export class SlotLayer implements Layer {
  constructor(private readonly slots: Slots) {}

  link(next: Run, early: boolean): Run {
    const starting = early ? untilWorkEnds : untilSettled;
    const run = starting(next, this.slots);
    const spared = starting(next, this.slots.spared);
    return (work, self, args, call) =>
      this.slots.take()
        ? run(work, self, args, call)
        : this.slots.acquire(
            call,
            () => run(work, self, args, call),
            () => spared(work, self, args, call),
          );
  }
}

/** Everything inside answers when its work ends, so what the call holds is free then. */
function untilSettled(next: Run, held: SharedPass): Start {
  return (work, self, args, call) =>
    promised(next, work, self, args, call).then(held.onSuccess, held.onFailure);
}

/** What the call holds is free when all its work has ended, what outlived its answer included. */
function untilWorkEnds(next: Run, held: SharedPass): Start {
  return (work, self, args, call) => {
    const slot = new HeldSlot(held, call.lingering);
    return promised(next, work, self, args, call.watchedBy(slot)).then(
      (value) => {
        slot.settle();
        return value;
      },
      (error: unknown) => {
        slot.settle();
        throw error;
      },
    );
  };
}

/** One slot of one call, given back when the call has been answered and none of its work goes on. */
export class HeldSlot implements Lingering {
  #open = 1;

  constructor(
    private readonly slots: { release(): void },
    private readonly outer: Lingering | undefined,
  ) {}

  begins(): void {
    this.#open++;
    this.outer?.begins();
  }

  ends(): void {
    this.outer?.ends();
    this.settle();
  }

  settle(): void {
    if (--this.#open === 0) this.slots.release();
  }
}
