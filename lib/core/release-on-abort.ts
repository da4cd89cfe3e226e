import { cancellationOf, isScope } from './cancellation.js';
import type { CallContext } from './call-context.js';

/**
 * Starts the call unless `signal` is aborted, and gives its caller `signal.reason` as soon as it is.
 * What the work brings after that is swallowed here; the policies have seen it. When the work has
 * ended, nothing of the call listens to the signal any more.
 */
export function releaseOnAbort(
  signal: AbortSignal,
  { cancellation }: CallContext,
  start: () => unknown,
): Promise<unknown> {
  if (signal.aborted) return rejected(signal.reason);
  return new Promise((resolve, reject) => {
    const leave = cancellationOf(signal).onAbort(reject);
    const end = (settle: () => void): void => {
      leave();
      // Made for this call, to join its signal to the enclosing call's.
      if (isScope(cancellation)) cancellation.close();
      settle();
    };
    new Promise((settle) => settle(start())).then(
      (value) => end(() => resolve(value)),
      (error: unknown) => end(() => reject(error)),
    );
  });
}

/** An AbortSignal's reason may be anything. */
function rejected(reason: unknown): Promise<never> {
  return Promise.reject(reason);
}
