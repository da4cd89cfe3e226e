import { isThenable } from './thenable.js';
import { LatencyHistogram } from './latency-histogram.js';
import type { Run } from './policy.js';
import { isStreamShown } from './result-kind.js';
import type { Clock } from './runtime.js';
import { type Field, oneOf } from './validation.js';

/** Whether the durations of calls are recorded: never, one in 17, or each. */
export type TimingsMode = 'off' | 'sampled' | 'all';

/** How long calls took, in milliseconds, to 12.5%. */
export interface TimingSummary {
  /** Calls that were timed. */
  readonly count: number;
  readonly p50: number;
  readonly p90: number;
  readonly p99: number;
}

/** The option as every policy has it. */
export const timingsField: Field<TimingsMode | undefined> = {
  rule: oneOf('off', 'sampled', 'all'),
  default: undefined,
};

/** A prime, so that it does not keep step with a pattern of calls. */
const ONE_IN = 17;

/**
 * Times the calls that pass here. It neither refuses nor repeats, and a result keeps its kind, so that
 * it may stand in front of a gate as well as of a layer.
 */
export class Timings {
  #histogram: LatencyHistogram | undefined;
  /** The first call is timed. */
  #untimed = ONE_IN - 1;

  constructor(
    private readonly mode: Exclude<TimingsMode, 'off'>,
    private readonly clock: Clock,
  ) {}

  summary(): TimingSummary {
    const histogram = this.#histogram;
    if (histogram === undefined) return { count: 0, p50: 0, p90: 0, p99: 0 };
    const [p50, p90, p99] = [0.5, 0.9, 0.99].map((rank) => histogram.quantile(rank)) as [
      number,
      number,
      number,
    ];
    return { count: histogram.total, p50, p90, p99 };
  }

  /** The step around `next`. */
  watch(next: Run): Run {
    return (work, self, args, call) => {
      if (!this.#isTimed()) return next(work, self, args, call);
      const startedAt = this.clock.now();
      let result: unknown;
      try {
        result = next(work, self, args, call);
      } catch (error) {
        if (!isStreamShown(error)) this.#record(startedAt);
        throw error;
      }
      if (isThenable(result)) return this.#recordLater(startedAt, Promise.resolve(result));
      this.#record(startedAt);
      return result;
    };
  }

  #isTimed(): boolean {
    if (this.mode === 'all') return true;
    this.#untimed++;
    if (this.#untimed < ONE_IN) return false;
    this.#untimed = 0;
    return true;
  }

  #recordLater(startedAt: number, result: Promise<unknown>): Promise<unknown> {
    return result.then(
      (value) => {
        this.#record(startedAt);
        return value;
      },
      (error: unknown) => {
        if (!isStreamShown(error)) this.#record(startedAt);
        throw error;
      },
    );
  }

  #record(startedAt: number): void {
    (this.#histogram ??= new LatencyHistogram()).record(this.clock.now() - startedAt);
  }
}
