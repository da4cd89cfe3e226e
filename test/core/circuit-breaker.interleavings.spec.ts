import fc from 'fast-check';
import { CircuitBreaker, CircuitBreakerError } from 'nestjs-bulwark/core';
import { Lab, down, settled } from '../support/lab.js';

/** What one concurrent caller does: its work ends so, in as many turns as the scheduler likes. */
const endings = fc.constantFrom('success', 'failure', 'abort', 'throw', 'value');
type Ending = 'success' | 'failure' | 'abort' | 'throw' | 'value';
const interventions = fc.constantFrom('reset', 'isolate', 'disable', 'release', 'wait');

const abort = new DOMException('given up', 'AbortError');
const reasons: Record<string, unknown> = { failure: down, abort, throw: down };

describe('interleavings of concurrent calls', () => {
  it('R12, R14, R18 hold whoever settles first, with resets, holds and time in between', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(endings, { minLength: 1, maxLength: 12, size: 'max' }),
        fc.array(interventions, { maxLength: 6, size: 'max' }),
        fc.integer({ min: 1, max: 2 }),
        async (scheduler, calls, acts, halfOpenMaxCalls) => {
          const lab = new Lab();
          const breaker = new CircuitBreaker(
            'b',
            { failureThreshold: 2, halfOpenMaxCalls, successThreshold: 2 },
            { runtime: lab.runtime },
          );
          const check = (): void => {
            const { totalCalls, successfulCalls, failedCalls, ...rest } = breaker.stats;
            const { rejectedCalls, ignoredCalls, inFlight } = rest;
            expect(inFlight).toBeGreaterThanOrEqual(0);
            expect(totalCalls).toBe(
              successfulCalls + failedCalls + rejectedCalls + ignoredCalls + inFlight,
            );
          };

          // Probes under way in this half-open period, by the work's own account.
          let period = 0;
          let probes = 0;
          breaker.onStateChange(() => {
            period++;
            probes = 0;
          });
          const work = async (ending: Ending): Promise<string> => {
            const [began, probing] = [period, breaker.state === 'half_open'];
            expect(['closed', 'half_open', 'disabled']).toContain(breaker.state);
            if (probing) expect(++probes).toBeLessThanOrEqual(halfOpenMaxCalls);
            try {
              await scheduler.schedule(Promise.resolve(), ending);
              if (ending in reasons) throw reasons[ending] as Error;
              return ending;
            } finally {
              // Its permit is free once the breaker has heard of it, a moment from now.
              if (probing && began === period) await Promise.resolve();
              if (probing && began === period) probes--;
            }
          };
          const call = async (ending: Ending, at: number): Promise<void> => {
            await scheduler.schedule(Promise.resolve(), `call ${String(at)}`);
            const outcome = await settled(
              breaker.execute(() => {
                if (ending === 'value') return ending;
                if (ending !== 'throw') return work(ending);
                throw down;
              }),
            );
            check();
            if ('error' in outcome && outcome.error instanceof CircuitBreakerError) return;
            expect(outcome).toEqual(
              ending in reasons ? { error: reasons[ending] } : { value: ending },
            );
          };
          const holds: (() => void)[] = [];
          const act = async (what: string): Promise<void> => {
            await scheduler.schedule(Promise.resolve(), what);
            if (what === 'reset') breaker.reset();
            if (what === 'isolate') holds.push(breaker.isolate().release);
            if (what === 'disable') holds.push(breaker.disable().release);
            if (what === 'release') holds.pop()?.();
            if (what === 'wait') lab.clock.jump(15_000); // two of them are the recovery time
            check();
          };
          const all = Promise.all([...calls.map(call), ...acts.map(act)]);
          await scheduler.waitFor(all);
          expect(breaker.stats).toMatchObject({ inFlight: 0, totalCalls: calls.length });
          expect(lab.clock.pendingTimers).toBe(0);
        },
      ),
      { numRuns: 1500 },
    );
  });

  it('a breaker that has seen any of it recovers', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        fc.array(endings, { minLength: 2, maxLength: 10, size: 'max' }),
        async (scheduler, calls) => {
          const lab = new Lab();
          const breaker = new CircuitBreaker(
            'b',
            { failureThreshold: 1 },
            { runtime: lab.runtime },
          );
          const running = calls.map((ending) =>
            settled(
              breaker.execute(async () => {
                await scheduler.schedule(Promise.resolve(), ending);
                if (ending in reasons) throw reasons[ending] as Error;
              }),
            ),
          );
          await scheduler.waitFor(Promise.all(running));
          lab.clock.jump(30_000);
          await breaker.execute(() => 'well');
          await breaker.execute(() => 'well');
          expect(breaker.state).toBe('closed');
        },
      ),
      { numRuns: 300 },
    );
  });
});
