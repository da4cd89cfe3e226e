import { oneLine } from '../one-line.js';
import { type Logger, tell } from '../runtime.js';
import type { CircuitStateChange, CircuitStateListener } from './options.js';

interface Untold {
  readonly change: CircuitStateChange;
  readonly first: readonly (CircuitStateListener | undefined)[];
}

/** Tells listeners of every change in the order of the changes, also of those that a listener makes. */
export class StateListeners {
  #listeners: readonly CircuitStateListener[] = [];
  #untold: Untold[] | undefined;

  constructor(private readonly logger: Logger) {}

  /** The result takes it back. */
  add(listener: CircuitStateListener): () => void {
    // An entry of its own: the same function may be added twice.
    const entry: CircuitStateListener = (change) => listener(change);
    this.#listeners = [...this.#listeners, entry];
    return () => {
      this.#listeners = this.#listeners.filter((each) => each !== entry);
    };
  }

  /** @param first who is told before those that were added */
  tell(change: CircuitStateChange, first: Untold['first']): void {
    if (this.#untold) {
      this.#untold.push({ change, first });
      return;
    }
    this.#untold = [{ change, first }];
    for (const each of this.#untold) {
      for (const listener of each.first) if (listener) this.#call(listener, each.change);
      for (const listener of this.#listeners) this.#call(listener, each.change);
    }
    this.#untold = undefined;
  }

  #call(listener: CircuitStateListener, change: CircuitStateChange): void {
    const message = `Circuit breaker "${oneLine(change.breakerName)}": a state listener threw; the change stands`;
    tell(
      () => listener(change),
      (thrown) => this.logger.error(message, thrown),
    );
  }
}
