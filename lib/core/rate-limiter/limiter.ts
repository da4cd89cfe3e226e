import { BoundPass } from '../bound-pass.js';
import type { CallContext } from '../call-context.js';
import { RateLimitedError } from '../errors.js';
import { deliverTo, promising } from '../deliver.js';
import type { Deliver, Gate, Layer, Pass, Run } from '../policy.js';
import { followed } from '../promised.js';
import type { Clock, Runtime } from '../runtime.js';
import { WaitQueue, type WaitRules, type Waiter } from '../wait-queue.js';
import type { ResolvedRateLimitOptions } from './options.js';
import { isStreamShown } from '../result-kind.js';
import { TokenBucket } from './token-bucket.js';
import { withoutStack } from '../without-stack.js';

/** What became of calls: started at once, started after a wait, turned away. */
export type RateLimitOutcome = 'permitted' | 'waited' | 'rejected';

/** What a limiter is made from. */
export type LimiterOptions = ResolvedRateLimitOptions & { readonly burst: number };

/** Nothing is learnt from how a call ends. */
class Permitted extends BoundPass {
  constructor(readonly uncount: () => void) {
    super();
  }

  succeed(): void {
    // Its token is spent.
  }

  fail(): void {
    // Nor is it given back.
  }

  release(): void {
    // Given up or not, it has begun.
  }
}

/** For calls that have taken no token. */
const PERMITTED = new Permitted(() => undefined);

/** A bucket and the calls that wait for its tokens. A gate; linked as a layer where calls may wait. */
export class Limiter implements Gate, WaitRules {
  readonly calls: Record<RateLimitOutcome, number> = { permitted: 0, waited: 0, rejected: 0 };
  /** Calls let through in shadow mode that would have been turned away. */
  shadowRejections = 0;
  readonly #bucket: TokenBucket;
  readonly #clock: Clock;
  readonly #queue: WaitQueue;
  readonly #permitted = new Permitted(() => this.#takeBack());

  constructor(
    private readonly name: string,
    private options: LimiterOptions,
    private readonly runtime: Runtime,
  ) {
    this.#bucket = new TokenBucket(options);
    this.#clock = runtime.clock;
    this.#queue = new WaitQueue(runtime, this);
  }

  get queued(): number {
    return this.#queue.size;
  }

  get #isShadow(): boolean {
    return this.options.mode === 'shadow';
  }

  /** Whole and partial tokens that are there now. */
  get tokens(): number {
    return Math.max(0, this.#bucket.tokensAt(this.#clock.now()));
  }

  /** Takes on changed options: tokens stay, and what waits comes as fast as they say now. */
  configure(options: LimiterOptions): void {
    this.options = options;
    this.#bucket.refit(options, this.#clock.now());
    if (this.#isShadow) this.#startWaiting();
    this.#queue.reschedule();
  }

  admit(): Pass | undefined {
    if (this.#take()) return this.#permitted;
    const shadow = this.#isShadow; // a listener may change it
    this.#reject();
    return shadow ? PERMITTED : undefined;
  }

  refusal(): Error {
    const { name, delay } = this;
    const make = (): Error => new RateLimitedError(name, { retryAfter: Math.max(0, delay) });
    return this.options.captureStack ? make() : withoutStack(make);
  }

  /** Calls that find no token wait, in the order in which they came. */
  readonly waiting: Layer = {
    link: (next: Run): Run => {
      const run = followed(next);
      return (work, self, args, call) => {
        if (!this.#takeInTurn()) return this.#acquire(call, () => run(work, self, args, call));
        const result = run(work, self, args, call);
        return call.progress === undefined ? result : result.catch(this.#failed);
      };
    },
    deliver: (next: Deliver): Deliver => {
      const run = promising(next);
      return (work, self, args, call, receiver) => {
        const inTurn = this.#takeInTurn();
        if (inTurn && call.progress === undefined) {
          next(work, self, args, call, receiver);
          return;
        }
        const begin = (): Promise<unknown> => run(work, self, args, call);
        deliverTo(receiver, inTurn ? begin().catch(this.#failed) : this.#acquire(call, begin));
      };
    },
  };

  /** For a call that may turn out to be a first look at a stream. */
  readonly #failed = (error: unknown): never => {
    if (isStreamShown(error)) this.#takeBack();
    throw error;
  };

  /** A token for a call that none waits before. */
  #takeInTurn(): boolean {
    return this.#queue.size === 0 && this.#take();
  }

  /** Milliseconds until there is a token for one more call; not positive when there is one. */
  private get delay(): number {
    const ahead = this.#queue.size * this.#bucket.perToken;
    return this.#bucket.nextAt + ahead - this.#clock.now();
  }

  /** Counts a call that gets no token; in shadow mode it is let through. */
  #reject(): void {
    if (this.#isShadow) this.shadowRejections++;
    else this.calls.rejected++;
    const { events } = this.runtime;
    const { name, delay } = this;
    if (events?.listening === true) {
      const type = this.#isShadow ? 'rate-limit.spared' : 'rate-limit.rejected';
      const source = { id: `rateLimit:${name}`, name };
      events.emit(type, source, { retryAfter: Math.max(0, delay) });
    }
  }

  #take(): boolean {
    if (!this.#bucket.take(this.#clock.now())) return false;
    this.calls.permitted++;
    return true;
  }

  #takeBack(): void {
    this.#bucket.giveBack();
    this.#queue.reschedule();
    this.calls.permitted--;
  }

  #acquire(call: CallContext, start: () => Promise<unknown>): Promise<unknown> {
    const { delay } = this;
    const inTime = delay <= this.options.maxWait && delay < (call.remainingTime ?? Infinity);
    const shadow = this.#isShadow; // a listener may change it
    if (inTime && !shadow) return this.#queue.join(call, start);
    if (inTime) this.#takeAhead();
    else this.#reject();
    return shadow ? start() : Promise.reject(this.refusal());
  }

  /** The token that a call has waited for; in shadow mode, where nobody waits, would have waited for. */
  #takeAhead(): void {
    this.#bucket.takeAhead(this.#clock.now());
    this.calls.waited++;
  }

  #startWaiting(): void {
    for (let next = this.#queue.first; next !== undefined && this.#isShadow;) {
      if (next.expired) {
        next = next.next; // its time limit is about to take it out
        continue;
      }
      this.#queue.remove(next);
      this.#takeAhead();
      next.admit();
      next = this.#queue.first;
    }
  }

  // The rules of the queue. A call that leaves it has taken no token: those behind it move up.

  dueAt(): number {
    return this.#bucket.nextAt;
  }

  due(waiter: Waiter): void {
    if (waiter.expired) {
      this.#reject();
      waiter.refuse(this.refusal());
    } else {
      this.#takeAhead();
      waiter.admit();
    }
  }

  aborted(): void {
    // No token to give back, and no outcome: it was neither let through nor turned away.
  }
}
