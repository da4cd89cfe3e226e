import { HeldSlot } from '../bulkhead/slot-layer.js';
import type { Layer, Run } from '../policy.js';
import { promised } from '../promised.js';
import type { AdaptiveLimiter } from './limiter.js';

/**
 * The limit where a layer inside may answer before its work has ended. What the answer tells counts at
 * once; the slot is free when all work of the call has ended.
 */
export class LimitLayer implements Layer {
  constructor(private readonly limiter: AdaptiveLimiter) {}

  link(next: Run): Run {
    return (work, self, args, call) => {
      const { limiter } = this;
      const admitted = limiter.admit();
      if (admitted === undefined) return Promise.reject(limiter.refusal());
      const slot = new HeldSlot(admitted, call.lingering);
      return promised(next, work, self, args, call.watchedBy(slot)).then(
        (value) => {
          slot.settle();
          limiter.answered(admitted);
          return value;
        },
        (error: unknown) => {
          slot.settle();
          if (!call.abortedWith(error)) limiter.failed(admitted, error);
          throw error;
        },
      );
    };
  }
}
