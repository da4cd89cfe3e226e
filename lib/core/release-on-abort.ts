import { cancellationOf } from './cancellation.js';

/**
 * Starts the call unless `signal` is aborted, and gives its caller `signal.reason` as soon as it is.
 * What the work brings after that is swallowed here; the policies have seen it.
 */
export function releaseOnAbort(signal: AbortSignal, start: () => unknown): Promise<unknown> {
  if (signal.aborted) return Promise.reject(signal.reason);
  return new Promise((resolve, reject) => {
    const leave = cancellationOf(signal).onAbort(reject);
    new Promise((settle) => settle(start())).then(resolve, reject).finally(leave);
  });
}
