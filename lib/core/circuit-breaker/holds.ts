import type { Machine } from './machine.js';
import { Closed } from './closed.js';
import { Disabled, Isolated } from './states.js';

/** Keeps a breaker isolated or disabled until it is released. Works with `using`. */
export interface CircuitHold {
  /** Once is enough; more does nothing. */
  release(): void;
  [Symbol.dispose](): void;
}

type Kind = 'isolate' | 'disable';

/** Counts who holds a breaker by hand. Isolation wins; with the last hold gone the breaker is closed. */
export class Holds {
  #held: Record<Kind, number> = { isolate: 0, disable: 0 };

  constructor(private readonly machine: Machine) {}

  take(kind: Kind): CircuitHold {
    const held = this.#held;
    held[kind]++;
    this.#apply();
    let released = false;
    const release = (): void => {
      if (released) return;
      released = true;
      held[kind]--;
      if (held === this.#held) this.#apply(); // a reset has voided it otherwise
    };
    return { release, [Symbol.dispose]: release };
  }

  /** Voids every hold and closes the breaker with fresh counters. */
  reset(): void {
    this.#held = { isolate: 0, disable: 0 };
    this.machine.enter(new Closed(this.machine));
  }

  #apply(): void {
    const { machine } = this;
    const wanted = this.#held.isolate > 0 ? Isolated : this.#held.disable > 0 ? Disabled : Closed;
    machine.enter(new wanted(machine));
  }
}
