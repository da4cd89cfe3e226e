import { BoundPass } from '../bound-pass.js';
import { isAbortError } from '../cancellation.js';
import { type CompiledFilter, compileFilter } from '../error-filter.js';
import { ThrottledError, isRejection } from '../errors.js';
import { isOverloadError } from '../overload-error.js';
import type { Gate, Pass } from '../policy.js';
import type { Runtime } from '../runtime.js';
import { AcceptanceWindow } from './acceptance-window.js';
import type { ResolvedClientThrottleOptions } from './options.js';
import { withoutStack } from '../without-stack.js';

/** Held back here; and of those made: accepted, rejected by the dependency, told nothing. */
export type ClientThrottleOutcome = 'throttled' | 'accepted' | 'rejected' | 'ignored';

/** Decides by chance, so that calls thin out evenly. One object is the pass of every call. */
export class Throttle extends BoundPass implements Gate {
  readonly calls: Record<ClientThrottleOutcome, number> = {
    throttled: 0,
    accepted: 0,
    rejected: 0,
    ignored: 0,
  };
  readonly window: AcceptanceWindow;
  readonly #isRejected: CompiledFilter;

  constructor(
    private readonly name: string,
    private readonly options: ResolvedClientThrottleOptions,
    private readonly runtime: Runtime,
  ) {
    super();
    this.window = new AcceptanceWindow(options.window, runtime.clock);
    this.#isRejected = compileFilter(options.rejectedBy ?? isOverloadError);
  }

  /** The chance with which the next call is held back, 0..1. */
  get rejectionRate(): number {
    const { multiplier, minimumCalls, maxRejectionRate } = this.options;
    const { requests, accepts } = this.window;
    if (requests < minimumCalls) return 0;
    const excess = (requests - multiplier * accepts) / (requests + 1);
    return Math.max(0, Math.min(maxRejectionRate, excess));
  }

  admit(): Pass | undefined {
    const { rejectionRate } = this;
    if (rejectionRate === 0 || this.runtime.random() >= rejectionRate) return this;
    this.#reject(rejectionRate);
    return undefined;
  }

  refusal(): Error {
    const make = (): Error => new ThrottledError(this.name);
    return this.options.captureStack ? make() : withoutStack(make);
  }

  /** What is held back is a request all the same: the rate answers to what the application asks for. */
  #reject(rejectionRate: number): void {
    this.calls.throttled++;
    this.window.add(false);
    const { events } = this.runtime;
    if (events?.listening !== true) return;
    const { name } = this;
    events.emit('throttle.rejected', { id: `clientThrottle:${name}`, name }, { rejectionRate });
  }

  // A call counts when it settles: one under way was neither accepted nor rejected yet.

  succeed(): void {
    this.calls.accepted++;
    this.window.add(true);
  }

  fail(error: unknown): void {
    if (this.#rejects(error)) {
      this.calls.rejected++;
      this.window.add(false);
    } else if (isRejection(error) || isAbortError(error)) {
      this.release();
    } else {
      this.succeed();
    }
  }

  release(): void {
    this.calls.ignored++;
  }

  uncount(): void {
    this.calls.ignored--; // which the release brings back
  }

  #rejects(error: unknown): boolean {
    try {
      return this.#isRejected(error);
    } catch (thrown) {
      const what = 'rejectedBy threw; the call counts as rejected';
      this.runtime.logger.error(`Client throttle "${this.name}": ${what}`, thrown);
      return true;
    }
  }
}
