import { getEventListeners } from 'node:events';
import fc from 'fast-check';
import { Lifetime, RetryExhaustedError, retry } from 'nestjs-bulwark/core';
import { Lab, down, settled } from '../support/lab.js';

interface Caller {
  /** How many of its attempts fail before one succeeds. */
  readonly failures: number;
  /** Whether it gives up at some moment, and the moment is the scheduler's. */
  readonly aborts: boolean;
  /** Whether its work notices. */
  readonly heeds: boolean;
}

const callers = fc.array(
  fc.record({ failures: fc.nat(4), aborts: fc.boolean(), heeds: fc.boolean() }),
  { minLength: 1, maxLength: 6, size: 'max' },
);

describe('interleavings of concurrent retries', () => {
  it('R3, R5, R82 hold whatever comes first: an attempt, a timer, an abort, the end of the application', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        callers,
        fc.boolean(),
        async (scheduler, given: Caller[], ends) => {
          const lab = new Lab();
          const lifetime = new Lifetime();
          const policy = retry({}, { runtime: { ...lab.runtime, lifetime } });
          let ended = false;
          let made = 0;

          const run = async ({ failures, aborts, heeds }: Caller, at: number): Promise<void> => {
            const controller = new AbortController();
            const reason = new Error(`caller ${String(at)} has gone`);
            let attempts = 0;
            let aborted = false;
            const running = settled(
              policy.execute(
                async ({ signal, attempt }) => {
                  expect(aborted).toBe(false);
                  expect(attempt).toBe(++attempts);
                  made++;
                  await scheduler.schedule(Promise.resolve(), `attempt ${String(attempt)}`);
                  if (heeds) signal.throwIfAborted();
                  if (attempt <= failures) throw down;
                  return attempt;
                },
                { signal: controller.signal },
              ),
            );
            const leave = async (): Promise<void> => {
              if (!aborts) return;
              await scheduler.schedule(Promise.resolve(), 'abort');
              aborted = true;
              controller.abort(reason);
            };
            const [outcome] = await Promise.all([running, leave()]);
            if ('value' in outcome) {
              expect(outcome.value).toBe(failures + 1);
            } else if (outcome.error instanceof RetryExhaustedError) {
              expect(outcome.error).toMatchObject({ attempts: 3, cause: down });
              expect(failures).toBeGreaterThanOrEqual(3);
            } else if (ended && outcome.error !== reason) {
              expect(outcome.error).toMatchObject({ name: 'AbortError' });
            } else {
              expect(outcome.error).toBe(reason);
              expect(aborts).toBe(true);
            }
            expect(getEventListeners(controller.signal, 'abort')).toEqual([]);
          };

          /** Time passes in steps that cut through the waits. */
          const tick = async (): Promise<void> => {
            for (let at = 0; at < 12; at++) {
              await scheduler.schedule(Promise.resolve(), 'tick');
              await lab.clock.advance(45);
            }
          };
          const end = async (): Promise<void> => {
            if (!ends) return;
            await scheduler.schedule(Promise.resolve(), 'end');
            ended = true;
            lifetime.end();
          };
          await scheduler.waitFor(Promise.all([...given.map(run), tick(), end()]));
          // Callers leave before their work does: wait for the work as well.
          while (scheduler.count() > 0) await scheduler.waitNext(1);
          await lab.clock.runAll();

          expect(lab.clock.pendingTimers).toBe(0);
          const { calls, attempts } = policy.snapshot();
          expect(Object.values(calls).reduce((sum, n) => sum + n)).toBe(given.length);
          expect(attempts).toBe(made);
        },
      ),
      { numRuns: 800 },
    );
  });
});
