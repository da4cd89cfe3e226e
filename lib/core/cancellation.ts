import { Brand } from './brand.js';

/** Something that may be told to stop. The signal is made only when somebody asks for it. */
export interface Cancellation {
  readonly aborted: boolean;
  /** What it was aborted with; `undefined` before. */
  readonly reason: unknown;
  readonly signal: AbortSignal;
  /** What keeps the async context in which it began to apply, where something does. */
  readonly place?: object | undefined;
  /** Calls `listener` once on abort, at once when it has happened; the result takes it back. */
  onAbort(listener: (reason: unknown) => void): () => void;
}

type Listener = (reason: unknown) => void;
const nothing = (): void => undefined;

/**
 * An abort that this library controls (a time limit, a losing hedge, an unsubscribe), passed on from
 * its parents as well. It listens to them only while somebody listens to it: `new AbortController()`
 * costs 2 us, and most calls never ask. Once its work has ended, it lets through what aborts the call
 * around it, for what the work has left behind, and adds nothing of its own.
 */
export class CancelScope implements Cancellation {
  // Its methods are private to the compiler alone: a #method marks every instance, 8 bytes for each class.
  #parent: Cancellation | undefined;
  #asked: Asked | undefined;
  #over = false;

  /**
   * @param parent of the call around this one
   * @param callerSignal of the caller's own
   */
  constructor(parent?: Cancellation, callerSignal?: Cancellation) {
    this.#parent = parent;
    if (callerSignal !== undefined) this.#asked = new Asked(callerSignal);
  }

  /** Of the nearest call around this one whose work has not ended. The others are forgotten. */
  get parent(): Cancellation | undefined {
    return (this.#parent = stillBinding(this.#parent));
  }

  /** Its work has ended. */
  get over(): boolean {
    return this.#over;
  }

  /** Milliseconds until it aborts by itself; may be below 0. `undefined` where no time limits it. */
  get timeLeft(): number | undefined {
    return undefined;
  }

  get aborted(): boolean {
    return this.#asked?.own !== undefined || this.abortedParent() !== undefined;
  }

  get reason(): unknown {
    const own = this.#asked?.own;
    return own === undefined ? this.abortedParent()?.reason : own.reason;
  }

  get signal(): AbortSignal {
    const asked = (this.#asked ??= new Asked());
    if (asked.controller === undefined) {
      const controller = (asked.controller = new AbortController());
      if (!this.#over) asked.ignoreController = this.onAbort((reason) => controller.abort(reason));
      else if (asked.own !== undefined) controller.abort(asked.own.reason);
    }
    return asked.controller.signal;
  }

  abort(reason: unknown): void {
    if (this.#over) return;
    // A parent may have been first, while nobody listened to it.
    this.abortWith((this.abortedParent() ?? { reason }).reason);
  }

  private abortWith(reason: unknown): void {
    const asked = (this.#asked ??= new Asked());
    if (asked.own !== undefined) return;
    asked.own = { reason };
    const { listeners } = asked;
    silence(asked);
    listeners?.forEach((listener) => listener(reason));
  }

  /** The work has ended: nothing aborts its signal any more. */
  close(): void {
    this.#over = true;
    const asked = this.#asked;
    if (asked === undefined) return;
    asked.ignoreController?.();
    asked.leaveSignal?.();
    asked.leaveSignal = undefined;
  }

  onAbort(listener: Listener): () => void {
    if (this.aborted) {
      listener(this.reason);
      return nothing;
    }
    if (this.#over) return this.parent?.onAbort(listener) ?? nothing;
    const asked = (this.#asked ??= new Asked());
    const listeners = (asked.listeners ??= this.listenToParents(asked));
    listeners.add(listener);
    return () => {
      // Taken from the set that it is in: one that leaves while others are told is not told.
      listeners.delete(listener);
      if (listeners.size === 0 && listeners === asked.listeners) silence(asked);
    };
  }

  private listenToParents(asked: Asked): Set<Listener> {
    const pass = (reason: unknown): void => this.abortWith(reason);
    asked.leaveParent = this.parent?.onAbort(pass);
    asked.leaveSignal = asked.callerSignal?.onAbort(pass);
    return new Set();
  }

  private abortedParent(): Cancellation | undefined {
    const { parent } = this;
    if (parent?.aborted === true) return parent;
    const callerSignal = this.#asked?.callerSignal;
    return !this.#over && callerSignal?.aborted === true ? callerSignal : undefined;
  }
}

/** What a scope needs once somebody listens to it or aborts it. Most calls end before: 75 bytes less for each. */
class Asked {
  own: { reason: unknown } | undefined;
  listeners: Set<Listener> | undefined;
  leaveParent: (() => void) | undefined;
  leaveSignal: (() => void) | undefined;
  controller: AbortController | undefined;
  ignoreController: (() => void) | undefined;

  constructor(readonly callerSignal?: Cancellation) {}
}

/** Nobody listens any more. */
function silence(asked: Asked): void {
  asked.listeners = undefined;
  asked.leaveParent?.();
  asked.leaveSignal?.();
  asked.leaveParent = asked.leaveSignal = undefined;
}

const scopeBrand = new Brand<CancelScope>('cancel-scope');
scopeBrand.put(CancelScope);

/** Of whichever installed copy. */
export function isScope(cancellation: Cancellation | undefined): cancellation is CancelScope {
  return scopeBrand.isOn(cancellation);
}

/** What aborts a call that begins now: scopes of work that has ended do not, and are not kept. */
export function stillBinding(cancellation: Cancellation | undefined): Cancellation | undefined {
  if (!isScope(cancellation)) return cancellation;
  const { parent } = cancellation; // asked for in any case, so that it forgets the ended ones
  return cancellation.over ? parent : cancellation;
}

/**
 * A caller's own `AbortSignal`. However many calls share it, it gets one listener, and none when
 * nobody waits: `addEventListener` on one signal is quadratic in its listeners.
 */
class SignalRelay implements Cancellation {
  readonly #listeners = new Set<Listener>();

  constructor(readonly signal: AbortSignal) {}

  get aborted(): boolean {
    return this.signal.aborted;
  }

  get reason(): unknown {
    return this.signal.aborted ? (this.signal.reason as unknown) : undefined;
  }

  onAbort(listener: Listener): () => void {
    if (this.signal.aborted) {
      listener(this.signal.reason);
      return nothing;
    }
    // A listener of its own for each subscription: two may pass the same function.
    const entry: Listener = (reason) => listener(reason);
    if (this.#listeners.size === 0) this.signal.addEventListener('abort', this.#onAbort);
    this.#listeners.add(entry);
    return () => {
      if (this.#listeners.delete(entry) && this.#listeners.size === 0) {
        this.signal.removeEventListener('abort', this.#onAbort);
      }
    };
  }

  readonly #onAbort = (): void => {
    this.signal.removeEventListener('abort', this.#onAbort);
    // From the set itself: one that leaves while others are told is not told.
    for (const listener of this.#listeners) listener(this.signal.reason);
    this.#listeners.clear();
  };
}

const relays = new WeakMap<AbortSignal, SignalRelay>();

/** The cancellation that a caller's signal stands for. */
export function cancellationOf(signal: AbortSignal): Cancellation {
  let relay = relays.get(signal);
  if (relay === undefined) relays.set(signal, (relay = new SignalRelay(signal)));
  return relay;
}

/** What a call ends with that its caller gave up: unsubscribed, returned early. Named as the platform names it. */
export class AbortError extends Error {
  override readonly name = 'AbortError';
  readonly code = 'ABORT_ERR';
}

/**
 * The same of a caller that has had what it wanted: an item of a stream. To a protected stream that the
 * call reads itself this is a consumer that leaves after an item, a success.
 */
export class SufficedError extends AbortError {}
const sufficed = new Brand<SufficedError>('sufficed');
sufficed.put(SufficedError);

export function isSufficed(reason: unknown): boolean {
  return sufficed.isOn(reason);
}

/** The platform's, and what axios and got reject a cancelled request with. */
const ABORT_CODES = new Set<unknown>(['ABORT_ERR', 'ERR_CANCELED']);

/**
 * Whether `error` says that a caller gave up, which is neither a success nor a failure: the name
 * `AbortError`, as the platform and most clients have it, or the code `ABORT_ERR` or `ERR_CANCELED` (axios).
 */
export function isAbortError(error: unknown): boolean {
  try {
    const { name, code } = (error ?? {}) as { name?: unknown; code?: unknown };
    return name === 'AbortError' || ABORT_CODES.has(code);
  } catch {
    return false;
  }
}
