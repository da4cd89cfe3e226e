import { HeldSlot } from '../bulkhead/slot-layer.js';
import type { CallContext } from '../call-context.js';
import { failLater } from '../deliver.js';
import type { Deliver, Layer, Receiver } from '../policy.js';
import { isStreamShown } from '../result-kind.js';
import type { AdaptiveLimiter, AdmittedCall } from './limiter.js';

/**
 * The limit where a layer inside may answer before its work has ended. What the answer tells counts at
 * once; the slot is free when all work of the call has ended.
 */
export class LimitLayer implements Layer {
  constructor(private readonly limiter: AdaptiveLimiter) {}

  deliver(next: Deliver): Deliver {
    return (work, self, args, call, receiver) => {
      const { limiter } = this;
      const admitted = limiter.admit();
      if (admitted === undefined) {
        failLater(receiver, limiter.refusal());
        return;
      }
      const told = new ToldAnswer(limiter, admitted, call, receiver);
      const slot = new HeldSlot(limiter, call.lingering, told);
      next(work, self, args, call.watchedBy(slot), slot);
    };
  }
}

/** Tells the limiter what a call's answer says. */
class ToldAnswer implements Receiver {
  constructor(
    private readonly limiter: AdaptiveLimiter,
    private readonly admitted: AdmittedCall,
    private readonly call: CallContext,
    private readonly receiver: Receiver,
  ) {}

  get promise(): Promise<unknown> | undefined {
    return this.receiver.promise;
  }

  succeed(value: unknown): void {
    this.limiter.answered(this.admitted);
    this.receiver.succeed(value);
  }

  fail(error: unknown): void {
    const { call } = this;
    if (call.abortedWith(error) || isStreamShown(error)) this.limiter.abandoned();
    else this.limiter.failed(this.admitted, call.timedOutWith(error) ?? error);
    this.receiver.fail(error);
  }
}
