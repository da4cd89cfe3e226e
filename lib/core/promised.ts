import type { CallContext, Work } from './context.js';
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
