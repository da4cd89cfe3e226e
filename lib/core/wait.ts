import type { Cancellation } from './cancellation.js';
import { AbortError } from './cancellation.js';
import type { Runtime } from './runtime.js';
import { ROUNDING } from './timed-queue.js';

/**
 * Waits `delay` ms, from 5 ms on no less where the timer fires early. Rejects at once with the reason when
 * the call is aborted, and with an AbortError when the application shuts down. Timer and listeners are gone
 * on every exit.
 * @param cause what is waited for after; of the AbortError
 */
export function wait(
  delay: number,
  { clock, lifetime }: Runtime,
  cancellation?: Cancellation,
  cause?: unknown,
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
    const until = clock.now() + delay;
    const onTimer = (): void => {
      // Node counts in whole milliseconds and fires up to two of them early. That most of the wait has
      // gone by tells this from faked timers beside a real clock, which have fired as they should.
      const left = until - clock.now();
      if (left > ROUNDING && left < delay / 2) timer = clock.setTimeout(onTimer, left);
      else finish(resolve);
    };
    let timer = clock.setTimeout(onTimer, delay);
    const listen = (begin: () => (() => void) | undefined): void => {
      const leave = over ? undefined : begin();
      if (leave !== undefined) leaves.push(leave);
    };
    listen(() => cancellation?.onAbort((reason) => finish(() => reject(reason))));
    const shutDown = (): void =>
      reject(new AbortError('Shutting down', cause === undefined ? undefined : { cause }));
    listen(() => lifetime?.onEnd(() => finish(shutDown)));
  });
}
