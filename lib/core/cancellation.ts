/** Something that may be told to stop. The signal is made only when somebody asks for it. */
export interface Cancellation {
  readonly aborted: boolean;
  /** What it was aborted with; `undefined` before. */
  readonly reason: unknown;
  readonly signal: AbortSignal;
  /** Calls `listener` once on abort, at once when it has happened; the result takes it back. */
  onAbort(listener: (reason: unknown) => void): () => void;
}

type Listener = (reason: unknown) => void;
const nothing = (): void => undefined;

/**
 * An abort that this library controls (a time limit, a losing hedge, an unsubscribe), passed on from
 * its parents as well. It listens to them only while somebody listens to it: `new AbortController()`
 * costs 2 us, and most calls never ask.
 */
export class CancelScope implements Cancellation {
  #own: { reason: unknown } | undefined;
  #listeners: Set<Listener> | undefined;
  #leaveParents: (() => void)[] | undefined;
  #controller: AbortController | undefined;
  #closed = false;

  // Two fields, not a list: a scope is made for each call, and a list costs two arrays.
  constructor(
    /** Of the call around this one. */
    readonly parent?: Cancellation,
    private readonly otherParent?: Cancellation,
  ) {}

  /** Its work has ended. */
  get over(): boolean {
    return this.#closed;
  }

  get aborted(): boolean {
    return this.#own !== undefined || (!this.#closed && this.#abortedParent() !== undefined);
  }

  get reason(): unknown {
    if (this.#own !== undefined) return this.#own.reason;
    return this.#closed ? undefined : this.#abortedParent()?.reason;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      const controller = (this.#controller = new AbortController());
      this.onAbort((reason) => controller.abort(reason));
    }
    return this.#controller.signal;
  }

  abort(reason: unknown): void {
    if (this.#own !== undefined || this.#closed) return;
    // A parent may have been first, while nobody listened to it.
    const own = (this.#own = { reason: (this.#abortedParent() ?? { reason }).reason });
    this.#release();
    const listeners = this.#listeners;
    this.#listeners = undefined;
    listeners?.forEach((listener) => listener(own.reason));
  }

  /** The call is over: nothing aborts its signal any more, and no parent is listened to. */
  close(): void {
    this.#closed = true;
    this.#listeners = undefined;
    this.#release();
  }

  onAbort(listener: Listener): () => void {
    if (this.aborted) {
      listener(this.reason);
      return nothing;
    }
    if (this.#closed) return nothing;
    this.#listeners ??= this.#listenToParents();
    this.#listeners.add(listener);
    return () => {
      this.#listeners?.delete(listener);
      if (this.#listeners?.size === 0) this.#silence();
    };
  }

  #listenToParents(): Set<Listener> {
    for (const parent of [this.parent, this.otherParent]) {
      if (parent === undefined) continue;
      (this.#leaveParents ??= []).push(parent.onAbort((reason) => this.abort(reason)));
    }
    return new Set();
  }

  #silence(): void {
    this.#listeners = undefined;
    this.#release();
  }

  #release(): void {
    const leaves = this.#leaveParents;
    if (leaves === undefined) return;
    this.#leaveParents = undefined;
    for (const leave of leaves) leave();
  }

  #abortedParent(): Cancellation | undefined {
    if (this.parent?.aborted === true) return this.parent;
    return this.otherParent?.aborted === true ? this.otherParent : undefined;
  }
}

/** Without the scopes of work that has ended: what it has left behind is free of them, and keeps none. */
export function stillBinding(cancellation: Cancellation | undefined): Cancellation | undefined {
  let binding = cancellation;
  while (binding instanceof CancelScope && binding.over) binding = binding.parent;
  return binding;
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
    const listeners = [...this.#listeners];
    this.#listeners.clear();
    this.signal.removeEventListener('abort', this.#onAbort);
    for (const listener of listeners) listener(this.signal.reason);
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

/** Whether `error` says that a caller gave up, which is neither a success nor a failure. */
export function isAbortError(error: unknown): boolean {
  try {
    const { name, code } = (error ?? {}) as { name?: unknown; code?: unknown };
    return name === 'AbortError' || code === 'ABORT_ERR';
  } catch {
    return false;
  }
}
