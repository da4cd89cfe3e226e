import { AsyncResource } from 'node:async_hooks';

/** Without hooks for its end it is the cheapest that keeps an async context: 110 ns, a snapshot takes 30 us. */
const OPTIONS = { requireManualDestroy: true };

/** Keeps the async context of a call, for what is done for it later on somebody else's turn. */
export class AsyncPlace extends AsyncResource {
  #entered = false;

  constructor() {
    super('bulwark.place', OPTIONS);
  }

  /** Itself for the first who asks, the call's own work: a scope more costs 45 ns. What that calls makes its own. */
  forWork(): AsyncResource | undefined {
    if (this.#entered) return undefined;
    this.#entered = true;
    return this;
  }
}
