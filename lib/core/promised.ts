import type { CallContext } from './call-context.js';
import { type Work, beginsUnstored, unstoredCallEnds } from './context.js';
import type { Run } from './policy.js';

/** Runs `next` for a layer, which gives a promise whatever the function gives, also what it throws. */
export function promised(
  next: Run,
  work: Work,
  self: unknown,
  args: readonly unknown[] | undefined,
  call: CallContext,
): Promise<unknown> {
  try {
    const result = next(work, self, args, call);
    return result instanceof Promise ? result : Promise.resolve(result);
  } catch (error) {
    return Promise.reject(error);
  }
}

/** The same for a layer that adds no handlers of its own: they count a call whose context is not stored. */
export function followed(next: Run): (...call: Parameters<Run>) => Promise<unknown> {
  return (work, self, args, call) => {
    const unstored = beginsUnstored(call);
    const promise = promised(next, work, self, args, call);
    return unstored ? promise.then(endUnstored, failUnstored) : promise;
  };
}

export function endUnstored(value: unknown): unknown {
  unstoredCallEnds();
  return value;
}

function failUnstored(error: unknown): never {
  unstoredCallEnds();
  throw error;
}
