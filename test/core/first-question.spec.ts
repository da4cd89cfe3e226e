import { jest } from '@jest/globals';
import type * as Core from 'nestjs-bulwark/core';
import { Lab, deferred, down } from '../support/lab.js';

type Library = typeof Core;

/**
 * The library stores no context until somebody has asked for one, and counts the calls under way
 * instead. As the first question of a process changes that, each test has a copy that was asked nothing.
 */
async function neverAsked(): Promise<Library> {
  jest.resetModules();
  return import('nestjs-bulwark/core');
}
const copies = [
  await neverAsked(),
  await neverAsked(),
  await neverAsked(),
  await neverAsked(),
] as const;

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});

/** Every kind of step that may stand around the work. */
function everyPolicy(core: Library): Core.Policy[] {
  const { bulkhead, fallback, hedge, pipeline, rateLimit, retry, timeLimit } = core;
  const setting = { runtime: lab.runtime };
  const breaker = (): Core.CircuitBreaker => new core.CircuitBreaker('b', {}, setting);
  const shadow = (): Core.Policy => timeLimit({ limit: 10, mode: 'shadow' }, setting);
  return [
    breaker(),
    pipeline(breaker(), bulkhead({}, setting)),
    pipeline(breaker(), shadow()),
    pipeline(retry({ maxAttempts: 2 }, setting), breaker()),
    pipeline(retry({ maxAttempts: 2 }, setting), shadow()),
    retry({ retryOnResult: (value: unknown) => value === 'poor' }, setting),
    bulkhead({ maxQueue: 1 }, setting),
    fallback(() => 0, {}, setting),
    rateLimit({ limit: 50, interval: '1s', maxWait: '1s' }, setting),
    timeLimit(10, setting),
    hedge({ delay: 10 }, setting),
  ];
}

function everySyncCall(core: Library): void {
  const policy = new core.SyncRetryPolicy(
    { retryOnResult: (value: unknown) => value === 'poor' },
    lab,
  );
  const breaker = new core.CircuitBreaker('s', {}, { runtime: lab.runtime });
  for (const work of everyWork()) {
    for (const run of [policy.wrapSync(work), () => breaker.executeSync(work)]) {
      try {
        void Promise.resolve(run()).catch(() => 0);
      } catch {
        // What came of it is tested elsewhere.
      }
    }
  }
}

const everyWork = (): (() => unknown)[] => [
  () => 'plain',
  () => 'poor',
  async () => 'fine',
  async () => 'poor',
  () => Promise.reject(down),
  () => {
    throw down;
  },
  () => ({ then: (resolve: (value: number) => void) => resolve(1) }),
  () => ({ then: (_: unknown, reject: (error: unknown) => void) => reject(down) }),
];

describe('R45 the first question', () => {
  it('finds the call that it is asked in, and none after that, whatever has been called', async () => {
    const [core] = copies;
    for (const policy of everyPolicy(core)) {
      for (const work of everyWork()) {
        await lab.outcomeOf(policy.execute(work));
        await lab.outcomeOf(policy.execute(work, { signal: new AbortController().signal }));
        await lab.outcomeOf(Promise.resolve().then(policy.wrap(work)));
      }
    }
    everySyncCall(core);
    await core.timeLimit(10, { runtime: lab.runtime }).execute(() => everySyncCall(core));
    const seen: unknown[] = [];
    await new core.CircuitBreaker('last').execute(async () => {
      await Promise.resolve();
      seen.push(core.currentAttempt());
    });
    seen.push(core.currentAttempt());
    expect(seen).toEqual([1, undefined]);
  });

  it('finds none outside a call that has a signal of its caller', async () => {
    const [, core] = copies;
    const work = deferred();
    const { signal } = new AbortController();
    const running = core.retry().execute(() => work.promise, { signal });
    expect(core.currentAttempt()).toBeUndefined();
    work.resolve('done');
    await running;
  });

  it('finds a later attempt', async () => {
    const [, , core] = copies;
    const retrying = core.retry({}, { runtime: lab.runtime });
    const attempt = retrying.execute(async (call) => {
      await Promise.resolve();
      if (call.attempt === 1) throw down;
      return core.currentAttempt();
    });
    expect(await lab.resultOf(attempt)).toBe(2);
  });

  it('R82 changes nothing in how calls are counted', async () => {
    const [, , , core] = copies;
    const policy = core.retry({}, { runtime: lab.runtime });
    await policy.execute(() => 'before');
    core.currentAttempt();
    await policy.execute(() => 'after');
    expect(policy.snapshot().calls.first_try).toBe(2);
  });
});
