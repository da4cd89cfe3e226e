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

  get settlers(): Settlers {
    return (this.#settlers ??= settlersOf(this));
  }

  get unstoredSettlers(): Settlers {
    return (this.#unstoredSettlers ??= unstoredSettlersOf(this));
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
