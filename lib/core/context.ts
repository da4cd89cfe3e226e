import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
import { AsyncPlace, storesInMaps } from './async-place.js';
import { type CallContext, PLAIN } from './call-context.js';
import { CancelScope, cancellationOf } from './cancellation.js';
import { processWide } from './process-wide.js';
import { isThenable } from './thenable.js';

/**
 * To store a context costs 11 ns on Node 20 and 120 ns on Node 24, and the first time slows every
 * promise of a Node 20 process by 60 ns. A plain context tells nothing that a constant does not, so it
 * is stored only once somebody has asked for a context. Calls that began before are counted until they
 * settle: while there are any, the constant answers.
 */
const calls = processWide('calls', () => ({
  storage: new AsyncLocalStorage<CallContext>(),
  asked: false,
  unstored: 0,
  /** Where nothing was ever stored there is nothing to look up. */
  stored: false,
}));

/** Runs `work` inside `call`: a context made around the pipelines, or a later part of a call. */
export function runInside<T>(call: CallContext, work: () => T): T {
  return enter(work, undefined, undefined, call) as T;
}

/** The enclosing call, for the library's own use. */
export function enclosingCall(): CallContext | undefined {
  return calls.storage.getStore();
}

/**
 * Hands `value` to one whose enclosing call is `around`, whatever call this code runs in. Every other
 * async context stays as it is: that of a request belongs to whoever has brought the value.
 */
export function handTo<T>(
  around: CallContext | undefined,
  receive: (value: T) => void,
  value: T,
): void {
  if (calls.storage.getStore() === around) receive(value);
  else enter(receive, undefined, [value], around);
}

function currentCall(): CallContext | undefined {
  calls.asked = true;
  return calls.storage.getStore() ?? (calls.unstored > 0 ? PLAIN : undefined);
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
  if (call !== PLAIN || calls.asked) return false;
  calls.unstored++;
  return true;
}

export function unstoredCallEnds(): void {
  calls.unstored--;
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
  if (call === PLAIN && !calls.asked) return direct(work, self, args, call);
  return enter(work, self, args, call, call.cancellation?.place);
}

/**
 * Calls the function with `call` stored: it is the enclosing one there, and in all that it starts.
 * With maps a `run` makes one on the way in and one on the way out, 320 ns in all; the scope of a
 * resource puts back the map that was there, 120 ns. Without, a `run` is 11 ns.
 * @param place a scope that the call may have already
 */
function enter(
  work: Work,
  self: unknown,
  args: readonly unknown[] | undefined,
  call: CallContext | undefined,
  place?: object,
): unknown {
  calls.stored = true;
  if (!storesInMaps)
    return calls.storage.run(call as CallContext, callAdopting, work, self, args, call);
  const own = place instanceof AsyncPlace ? place.forWork() : undefined;
  const scope = own ?? new AsyncResource('bulwark.call');
  return scope.runInAsyncScope(storeAndRun, undefined, work, self, args, call);
}

function storeAndRun(
  work: Work,
  self: unknown,
  args: readonly unknown[] | undefined,
  call: CallContext | undefined,
): unknown {
  calls.storage.enterWith(call as CallContext); // for this scope
  return callAdopting(work, self, args, call);
}

/** Calls the function and adopts what it returns: a query that begins when it is awaited does so here, inside its call. */
function callAdopting(
  work: Work,
  self: unknown,
  args: readonly unknown[] | undefined,
  call: CallContext | undefined,
): unknown {
  const result = direct(work, self, args, call);
  return result instanceof Promise || !isThenable(result) ? result : Promise.resolve(result);
}

function direct(
  work: Work,
  self: unknown,
  args: readonly unknown[] | undefined,
  call: CallContext | undefined,
): unknown {
  // Not `work.call`: an `execute` has no receiver, and on Node 24 a plain call saves 4 ns.
  return args === undefined ? work(call) : callWith(work, self, args);
}

/** One by one, as the compiler can inline a call with a known number of arguments: 8 to 11 ns of an `apply`. */
function callWith(work: Work, self: unknown, args: readonly unknown[]): unknown {
  switch (args.length) {
    case 0:
      return work.call(self);
    case 1:
      return work.call(self, args[0]);
    case 2:
      return work.call(self, args[0], args[1]);
    case 3:
      return work.call(self, args[0], args[1], args[2]);
    default:
      return work.apply(self, args as unknown[]);
  }
}

/** What `execute` may be told. */
export interface ExecuteOptions {
  /** Ends the call's waits, reaches the work, and releases the caller with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** The context in which a new call begins: that of the call around it, and the caller's own signal. */
export function beginCall(signal?: AbortSignal): CallContext {
  const enclosing = calls.stored ? (calls.storage.getStore()?.forNestedCall() ?? PLAIN) : PLAIN;
  if (signal === undefined) return enclosing;
  const own = cancellationOf(signal);
  if (enclosing.cancellation === undefined) return enclosing.within(own);
  return enclosing.within(new CancelScope(enclosing.cancellation, own));
}
