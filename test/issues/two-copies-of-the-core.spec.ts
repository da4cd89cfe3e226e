/** Two installed copies run each other's calls: their deadlines and their ends count in both. */
import { jest } from '@jest/globals';
import type * as CoreModule from 'nestjs-bulwark/core';
import type * as ErrorsModule from '../../lib/core/errors.js';
import { Lab, deferred, down, settled } from '../support/lab.js';

type Core = typeof CoreModule;
type Errors = typeof ErrorsModule;
const first: Core = await import('nestjs-bulwark/core');
jest.resetModules();
const second: Core = await import('nestjs-bulwark/core');
const errorsOfSecond: Errors = await import('../../lib/core/errors.js');
const copies: [string, Core, Core][] = [
  ['first', first, second],
  ['second', second, first],
];

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});

it('they are two', () => {
  expect(second.CircuitBreaker).not.toBe(first.CircuitBreaker);
});

describe.each(copies)('the %s copy', (_which, copy, other) => {
  it('R45 knows the deadline of its own time limit', async () => {
    const limit = copy.timeLimit(1000, { runtime: lab.runtime });
    expect(await limit.execute(() => copy.remainingTime())).toBe(1000);
    expect(await limit.execute(({ remainingTime }) => remainingTime)).toBe(1000);
  });

  it('R61 knows the nearest deadline of both', async () => {
    const near = copy.timeLimit(100, { runtime: lab.runtime });
    const far = other.timeLimit(1000, { runtime: lab.runtime });
    const seen = (): unknown[] => [copy.remainingTime(), other.remainingTime()];
    expect(await near.execute(() => far.execute(seen))).toEqual([100, 100]);
    expect(await far.execute(() => near.execute(seen))).toEqual([100, 100]);
  });

  it('R61 begins no wait that its own deadline makes pointless', async () => {
    const policy = copy.pipeline(
      copy.timeLimit(50, { runtime: lab.runtime }),
      copy.retry({ baseDelay: 100, jitter: 0 }, { runtime: lab.runtime }),
    );
    const outcome = await lab.errorOf(policy.execute(() => Promise.reject(down)));
    expect(outcome).toMatchObject({ code: 'RETRY_EXHAUSTED', reason: 'deadline' });
  });

  it('frees what a call has left behind of the limit that it had', async () => {
    const begins = deferred();
    const later = copy.retry({ baseDelay: 10, jitter: 0 }, { runtime: lab.runtime });
    let polled: Promise<unknown> | undefined;
    const call = settled(
      copy.timeLimit(50, { runtime: lab.runtime }).execute(() => {
        const poll = ({ attempt }: { attempt: number }): string => {
          if (attempt === 1) throw down;
          return 'polled';
        };
        polled = settled(begins.promise.then(() => later.execute(poll)));
        return new Promise<void>((resolve) => void lab.clock.setTimeout(resolve, 80));
      }),
    );
    await lab.clock.runAll();
    await call;
    begins.resolve(undefined);
    await lab.clock.runAll();
    expect(await polled).toEqual({ value: 'polled' });
  });

  it('takes a budget and a configuration of the other', async () => {
    const budget = new other.RetryBudget({ ratio: 0, minPerSecond: 0 }, { runtime: lab.runtime });
    const policy = copy.retry(new other.RetryConfig({ maxAttempts: 7 }), { runtime: lab.runtime });
    expect(policy.options.maxAttempts).toBe(7);
    policy.configure({ budget });
    const outcome = await lab.errorOf(policy.execute(() => Promise.reject(down)));
    expect(outcome).toMatchObject({ reason: 'budget' });
  });

  it('takes no deadline that the caller has set for a failure', async () => {
    const breaker = copy.CircuitBreaker;
    const guard = new breaker('b', { failureThreshold: 1 }, { runtime: lab.runtime });
    const caller = new AbortController();
    const call = guard.execute(
      ({ signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error));
        }),
      { signal: caller.signal },
    );
    caller.abort(new errorsOfSecond.CallerTimeoutError(10));
    await settled(call);
    expect(guard.stats).toMatchObject({ failedCalls: 0, ignoredCalls: 1 });
  });
});
