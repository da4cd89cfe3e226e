import { type Cancellation, isAbortError, isScope, stillBinding } from './cancellation.js';
import { isCallerTimeout, isResilienceError } from './errors.js';
import { processWide } from './process-wide.js';

/** Shared by every attempt of one call: whether part of the answer has reached the caller. */
export interface Progress {
  /** Nothing may be tried again: an iterator has handed out its first item. */
  committed: boolean;
  /** An item has come: no hedge is needed any more. */
  answered: boolean;
  /** Reads a fallback's answer to its end, as a part of the call: of a stream the answer may be one too. */
  readonly absorb?: (answer: unknown, call: CallContext) => Promise<unknown>;
}

/**
 * Told of work that goes on after a layer has answered its caller (a time limit ran out, another try
 * won), and of its end: a bulkhead keeps the call's slot meanwhile.
 */
export interface Lingering {
  begins(): void;
  ends(): void;
}

/** What a running call knows of itself; `execute` hands it to the function. */
export class CallContext {
  constructor(
    /** 1-based attempt of the nearest retry. */
    readonly attempt: number,
    readonly cancellation?: Cancellation,
    readonly progress?: Progress,
    readonly lingering?: Lingering,
    /** Of half-open breakers that it is inside of. */
    readonly probes?: readonly object[],
  ) {}

  /** Aborted when nobody waits for the call any more. */
  get signal(): AbortSignal {
    // One that nothing aborts is made afresh: listeners on a shared one would pile up.
    return this.cancellation?.signal ?? new AbortController().signal;
  }

  /** Milliseconds left before the nearest deadline; `undefined` without one. */
  get remainingTime(): number | undefined {
    let nearest: number | undefined;
    let scope = stillBinding(this.cancellation);
    for (; isScope(scope); scope = scope.parent) {
      const { timeLeft } = scope;
      if (timeLeft !== undefined) nearest = Math.min(nearest ?? Infinity, timeLeft);
    }
    return nearest === undefined ? undefined : Math.max(0, nearest);
  }

  /** For logs: what stands around the call is not theirs to see. */
  toJSON(): { attempt: number; remainingTime: number | undefined } {
    return { attempt: this.attempt, remainingTime: this.remainingTime };
  }

  forAttempt(attempt: number): CallContext {
    if (attempt === this.attempt) return this;
    const { cancellation, progress, lingering, probes } = this;
    return new CallContext(attempt, cancellation, progress, lingering, probes);
  }

  /** The same call, to be stopped by `cancellation`. */
  within(cancellation: Cancellation): CallContext {
    const { attempt, progress, lingering, probes } = this;
    return new CallContext(attempt, cancellation, progress, lingering, probes);
  }

  /** The same call, with one who wants to know what work outlives its answer. */
  watchedBy(lingering: Lingering): CallContext {
    const { attempt, cancellation, progress, probes } = this;
    return new CallContext(attempt, cancellation, progress, lingering, probes);
  }

  /** The same call, as (a part of) a probe of a half-open breaker. */
  during(probe: object): CallContext {
    const { attempt, cancellation, progress, lingering, probes = [] } = this;
    return new CallContext(attempt, cancellation, progress, lingering, [...probes, probe]);
  }

  /**
   * What a call made by the protected function inherits: not how far this one's answer has come, nor
   * what has ended. Work that a call has started and that goes on, a timer or a consumer, is free of it.
   */
  forNestedCall(): CallContext {
    const cancellation = stillBinding(this.cancellation);
    const inherits =
      cancellation === this.cancellation &&
      this.progress === undefined &&
      this.lingering === undefined;
    if (inherits) return this;
    return new CallContext(this.attempt, cancellation, undefined, undefined, this.probes);
  }

  /** The same call, whose attempts share `progress`. */
  following(progress: Progress): CallContext {
    return new CallContext(this.attempt, this.cancellation, progress, undefined, this.probes);
  }

  /** The time-out behind an abort error: work that heeds its signal often rejects with one of its own. */
  timedOutWith(error: unknown): unknown {
    const reason = this.cancellation?.aborted === true ? this.cancellation.reason : undefined;
    return isAbortError(error) && isTimeLimit(reason) ? reason : undefined;
  }

  /** Whether `error` is what the caller aborted this call with. A time limit's abort is a time-out. */
  abortedWith(error: unknown): boolean {
    const { cancellation } = this;
    return (
      cancellation !== undefined &&
      cancellation.aborted &&
      cancellation.reason === error &&
      !isTimeLimit(error)
    );
  }
}

/** A limit of ours, not one that the caller set for itself. */
function isTimeLimit(reason: unknown): boolean {
  return isResilienceError(reason, 'TIMEOUT') && !isCallerTimeout(reason);
}

/** A call that nothing stops, in its first attempt. */
export const PLAIN = processWide('plain-call', () => new CallContext(1));
