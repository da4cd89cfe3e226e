import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
import {
  type Cancellation,
  CancelScope,
  cancellationOf,
  isAbortError,
  stillBinding,
} from './cancellation.js';
import { CallerTimeoutError, isResilienceError } from './errors.js';
import type { Clock } from './runtime.js';

/** An instant on a clock after which nobody waits for the call. */
export interface Deadline {
  readonly clock: Clock;
  /** Milliseconds, on that clock's monotonic scale. */
  readonly at: number;
  /** Its work has ended: it binds nothing that the work has started and that goes on. */
  readonly over: boolean;
  /** The one around it. */
  readonly outer: Deadline | undefined;
}

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
    /** The innermost; the nearest may be one around it. */
    readonly deadline?: Deadline,
    readonly progress?: Progress,
    readonly lingering?: Lingering,
  ) {}

  /** Aborted when nobody waits for the call any more. */
  get signal(): AbortSignal {
    // One that nothing aborts is made afresh: listeners on a shared one would pile up.
    return this.cancellation?.signal ?? new AbortController().signal;
  }

  /** Milliseconds left before the nearest deadline; `undefined` without one. */
  get remainingTime(): number | undefined {
    let nearest: number | undefined;
    for (let each = this.deadline; each !== undefined; each = each.outer) {
      if (!each.over) nearest = Math.min(nearest ?? Infinity, each.at - each.clock.now());
    }
    return nearest === undefined ? undefined : Math.max(0, nearest);
  }

  forAttempt(attempt: number): CallContext {
    if (attempt === this.attempt) return this;
    return new CallContext(
      attempt,
      this.cancellation,
      this.deadline,
      this.progress,
      this.lingering,
    );
  }

  /** The same call, to be stopped by `cancellation`, which may have a deadline. */
  within(cancellation: Cancellation, deadline = this.deadline): CallContext {
    return new CallContext(this.attempt, cancellation, deadline, this.progress, this.lingering);
  }

  /** The same call, with one who wants to know what work outlives its answer. */
  watchedBy(lingering: Lingering): CallContext {
    return new CallContext(
      this.attempt,
      this.cancellation,
      this.deadline,
      this.progress,
      lingering,
    );
  }

  /**
   * What a call made by the protected function inherits: not how far this one's answer has come, nor
   * what has ended. Work that a call has started and that goes on, a timer or a consumer, is free of it.
   */
  forNestedCall(): CallContext {
    const cancellation = stillBinding(this.cancellation);
    let { deadline } = this;
    while (deadline?.over === true) deadline = deadline.outer;
    const inherits =
      cancellation === this.cancellation &&
      deadline === this.deadline &&
      this.progress === undefined &&
      this.lingering === undefined;
    return inherits ? this : new CallContext(this.attempt, cancellation, deadline);
  }

  /** The same call, whose attempts share `progress`. */
  following(progress: Progress): CallContext {
    return new CallContext(this.attempt, this.cancellation, this.deadline, progress);
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
  return isResilienceError(reason, 'TIMEOUT') && !(reason instanceof CallerTimeoutError);
}

/** A call that nothing stops, in its first attempt. */
export const PLAIN = new CallContext(1);

const storage = new AsyncLocalStorage<CallContext>();

/**
 * To store a context costs 11 ns on Node 20 and 120 ns on Node 24, and the first time slows every
 * promise of a Node 20 process by 60 ns. A plain context tells nothing that a constant does not, so it
 * is stored only once somebody has asked for a context. Calls that began before are counted until they
 * settle: while there are any, the constant answers.
 */
let asked = false;
let unstored = 0;
/** Where nothing was ever stored there is nothing to look up. */
let stored = false;

/** Runs `work` inside `call`: a context made around the pipelines, or a later part of a call. */
export function runInside<T>(call: CallContext, work: () => T): T {
  return enter(work, undefined, undefined, call) as T;
}

/** The enclosing call, for the library's own use. */
export function enclosingCall(): CallContext | undefined {
  return storage.getStore();
}

function currentCall(): CallContext | undefined {
  asked = true;
  return storage.getStore() ?? (unstored > 0 ? PLAIN : undefined);
}

/** The running call's AbortSignal; `undefined` outside a protected call. */
export function currentSignal(): AbortSignal | undefined {
  return currentCall()?.signal;
}

/** The running call's 1-based attempt; `undefined` outside a protected call. */
export function currentAttempt(): number | undefined {
  return currentCall()?.attempt;
}

/** Milliseconds left before the running call's nearest deadline; `undefined` without one. */
export function remainingTime(): number | undefined {
  return currentCall()?.remainingTime;
}

/**
 * Whether a call's context will not be stored. The step around the work asks before it, and says
 * `unstoredCallEnds` when the work has settled.
 */
export function beginsUnstored(call: CallContext): boolean {
  if (call !== PLAIN || asked) return false;
  unstored++;
  return true;
}

export function unstoredCallEnds(): void {
  unstored--;
}

// `any`: the innermost function's own parameters are its caller's affair.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Work = (this: any, ...args: any[]) => unknown;

/** Calls the protected function itself. Without `args` it is an `execute`, which gets the context. */
export function invoke(
  work: Work,
  self: unknown,
  args: readonly unknown[] | undefined,
  call: CallContext,
): unknown {
  if (call === PLAIN && !asked) return direct(work, self, args, call);
  return enter(work, self, args, call);
}

/**
 * Node 24 keeps what is stored in maps: `run` makes one on the way in and one on the way out, 320 ns in
 * all. The scope of a resource puts back the map that was there, 120 ns. Before, a `run` is 11 ns.
 */
const storesInMaps = Number(process.versions.node.split('.')[0]) >= 24;

/** Calls the function with `call` stored: it is the enclosing one there, and in all that it starts. */
function enter(
  work: Work,
  self: unknown,
  args: readonly unknown[] | undefined,
  call: CallContext,
): unknown {
  stored = true;
  if (!storesInMaps) return storage.run(call, direct, work, self, args, call);
  const scope = new AsyncResource('bulwark.call');
  return scope.runInAsyncScope(storeAndRun, undefined, work, self, args, call);
}

function storeAndRun(
  work: Work,
  self: unknown,
  args: readonly unknown[] | undefined,
  call: CallContext,
): unknown {
  storage.enterWith(call); // for this scope
  return direct(work, self, args, call);
}

function direct(
  work: Work,
  self: unknown,
  args: readonly unknown[] | undefined,
  call: CallContext,
): unknown {
  // Not `work.call`: an `execute` has no receiver, and on Node 24 a plain call saves 4 ns.
  return args === undefined ? work(call) : work.apply(self, args as unknown[]);
}

/** What `execute` may be told. */
export interface ExecuteOptions {
  /** Ends the call's waits, reaches the work, and releases the caller with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** The context in which a new call begins: that of the call around it, and the caller's own signal. */
export function beginCall(signal?: AbortSignal): CallContext {
  const enclosing = stored ? (storage.getStore()?.forNestedCall() ?? PLAIN) : PLAIN;
  if (signal === undefined) return enclosing;
  const own = cancellationOf(signal);
  if (enclosing.cancellation === undefined) return enclosing.within(own);
  return enclosing.within(new CancelScope(enclosing.cancellation, own));
}
