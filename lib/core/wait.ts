import type { Cancellation } from './cancellation.js';
import { AbortError } from './cancellation.js';
import type { Runtime } from './runtime.js';

/**
 * Waits `delay` ms. Rejects at once with the reason when the call is aborted, and with an AbortError
 * when the application shuts down. Timer and listeners are gone on every exit.
 */
export function wait(
  delay: number,
  { clock, lifetime }: Runtime,
  cancellation?: Cancellation,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let over = false;
    const leaves: (() => void)[] = [];
    const finish = (settle: () => void): void => {
      over = true;
      clock.clearTimeout(timer);
      for (const leave of leaves) leave();
      settle();
    };
    const timer = clock.setTimeout(() => finish(resolve), delay);
    const listen = (begin: () => (() => void) | undefined): void => {
      const leave = over ? undefined : begin();
      if (leave !== undefined) leaves.push(leave);
    };
    listen(() => cancellation?.onAbort((reason) => finish(() => reject(reason))));
    listen(() => lifetime?.onEnd(() => finish(() => reject(new AbortError('Shutting down')))));
  });
}
