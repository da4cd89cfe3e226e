import type { CallContext } from './call-context.js';
import { unstoredCallEnds } from './context.js';
import type { Pass, Settlers } from './policy.js';

/** A pass whose settlers are bound on first use: one that is shared by many calls allocates nothing. */
export abstract class BoundPass implements Pass {
  #settlers: Settlers | undefined;
  #unstoredSettlers: Settlers | undefined;

  abstract succeed(value: unknown): void;
  abstract fail(error: unknown): void;
  abstract release(): void;
  abstract uncount(): void;

  contextOf(call: CallContext): CallContext {
    return call;
  }

  /** Whether they are kept for its next call. */
  protected get keepsSettlers(): boolean {
    return true;
  }

  get settlers(): Settlers {
    if (this.#settlers !== undefined) return this.#settlers;
    const settlers = settlersOf(this);
    if (this.keepsSettlers) this.#settlers = settlers;
    return settlers;
  }

  get unstoredSettlers(): Settlers {
    if (this.#unstoredSettlers !== undefined) return this.#unstoredSettlers;
    const settlers = unstoredSettlersOf(this);
    if (this.keepsSettlers) this.#unstoredSettlers = settlers;
    return settlers;
  }
}

function settlersOf(pass: Pass): Settlers {
  return {
    onSuccess: (value) => {
      pass.succeed(value);
      return value;
    },
    onFailure: (error) => {
      pass.fail(error);
      throw error;
    },
  };
}

function unstoredSettlersOf(pass: Pass): Settlers {
  return {
    onSuccess: (value) => {
      unstoredCallEnds();
      pass.succeed(value);
      return value;
    },
    onFailure: (error) => {
      unstoredCallEnds();
      pass.fail(error);
      throw error;
    },
  };
}
