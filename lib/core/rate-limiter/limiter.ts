import type { CallContext } from '../context.js';
import { RateLimitedError, withoutStack } from '../errors.js';
import type { Gate, Layer, Pass, Run } from '../policy.js';
import { promised } from '../promised.js';
import type { Clock, Runtime } from '../runtime.js';
import { WaitQueue, type WaitRules, type Waiter } from '../wait-queue.js';
import type { ResolvedRateLimitOptions } from './options.js';
import { TokenBucket } from './token-bucket.js';

/** What became of calls: started at once, started after a wait, turned away. */
export type RateLimitOutcome = 'permitted' | 'waited' | 'rejected';

/** What a limiter is made from. */
export type LimiterOptions = ResolvedRateLimitOptions & { readonly burst: number };

/** Nothing is learnt from how a call ends. */
const PERMITTED: Pass = {
  onSuccess: (value) => value,
  onFailure: (error) => {
    throw error;
  },
  succeed: () => undefined,
  fail: () => undefined,
  release: () => undefined,
};

/** A bucket and the calls that wait for its tokens. A gate; linked as a layer where calls may wait. */
export class Limiter implements Gate, WaitRules {
  readonly calls: Record<RateLimitOutcome, number> = { permitted: 0, waited: 0, rejected: 0 };
  readonly #bucket: TokenBucket;
  readonly #clock: Clock;
  readonly #queue: WaitQueue;

  constructor(
    private readonly name: string,
    private readonly options: LimiterOptions,
    private readonly runtime: Runtime,
  ) {
    const { limit, interval, burst } = options;
    this.#bucket = new TokenBucket(limit, interval, burst);
    this.#clock = runtime.clock;
    this.#queue = new WaitQueue(runtime, this);
  }

  get queued(): number {
    return this.#queue.size;
  }

  /** Whole and partial tokens that are there now. */
  get tokens(): number {
    return this.#bucket.tokensAt(this.#clock.now());
  }

  admit(): Pass | undefined {
    if (this.#take()) return PERMITTED;
    this.#reject();
    return undefined;
  }

  refusal(): Error {
    const { name, delay } = this;
    const make = (): Error => new RateLimitedError(name, { retryAfter: Math.max(0, delay) });
    return this.options.captureStack ? make() : withoutStack(make);
  }

  /** Calls that find no token wait, in the order in which they came. */
  readonly waiting: Layer = {
    link: (next: Run): Run => {
      return (work, self, args, call) =>
        this.#queue.size === 0 && this.#take()
          ? promised(next, work, self, args, call)
          : this.#acquire(call, () => promised(next, work, self, args, call));
    },
  };

  /** Milliseconds until there is a token for one more call; not positive when there is one. */
  private get delay(): number {
    const ahead = this.#queue.size * this.#bucket.perToken;
    return this.#bucket.nextAt + ahead - this.#clock.now();
  }

  #reject(): void {
    this.calls.rejected++;
    const { events } = this.runtime;
    const { name, delay } = this;
    if (events?.listening === true) {
      const source = { id: `rateLimit:${name}`, name };
      events.emit('rate-limit.rejected', source, { retryAfter: Math.max(0, delay) });
    }
  }

  #take(): boolean {
    if (!this.#bucket.take(this.#clock.now())) return false;
    this.calls.permitted++;
    return true;
  }

  #acquire(call: CallContext, start: () => Promise<unknown>): Promise<unknown> {
    const { delay } = this;
    const inTime = delay <= this.options.maxWait && delay < (call.remainingTime ?? Infinity);
    if (inTime) return this.#queue.join(call, start);
    this.#reject();
    return Promise.reject(this.refusal());
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
      this.#bucket.take(this.#clock.now());
      this.calls.waited++;
      waiter.admit();
    }
  }

  aborted(): void {
    // No token to give back, and no outcome: it was neither let through nor turned away.
  }
}
