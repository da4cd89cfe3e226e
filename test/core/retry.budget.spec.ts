import fc from 'fast-check';
import {
  RetryBudget,
  ResilienceConfigError,
  hedge,
  pipeline,
  retry,
  timeLimit,
} from 'nestjs-bulwark/core';
import { Lab, down, settled } from '../support/lab.js';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});

const budgetWith = (options?: ConstructorParameters<typeof RetryBudget>[0]): RetryBudget =>
  new RetryBudget(options, { runtime: lab.runtime });

function withdrawals(budget: RetryBudget, tries = 1000): number {
  let granted = 0;
  for (let at = 0; at < tries; at++) if (budget.withdraw()) granted++;
  return granted;
}

function deposits(budget: RetryBudget, count: number): void {
  for (let at = 0; at < count; at++) budget.deposit();
}

describe('R74 a retry budget', () => {
  it.each([
    [{}, 0, 100],
    [{}, 50, 110],
    [{ minPerSecond: 0 }, 0, 0],
    [{ minPerSecond: 0 }, 10, 2],
    [{ minPerSecond: 0, ratio: 0.1 }, 9, 0],
    [{ minPerSecond: 0, ratio: 0.1 }, 10, 1],
    [{ minPerSecond: 0, ratio: 2 }, 3, 6],
    [{ minPerSecond: 1, ratio: 0, ttl: '5s' }, 1000, 5],
    [{ minPerSecond: 0.5, ratio: 0, ttl: '1s' }, 0, 0],
  ])('of %j allows, after %d calls, %d retries', (options, calls, retries) => {
    const budget = budgetWith(options);
    deposits(budget, calls);
    expect(withdrawals(budget)).toBe(retries);
  });

  it('forgets calls and retries once they are older than its ttl', () => {
    const budget = budgetWith({ minPerSecond: 0, ratio: 1, ttl: '10s' });
    deposits(budget, 5);
    lab.clock.jump(8999);
    expect(budget.balance).toBe(5);
    lab.clock.jump(1001);
    expect(budget.balance).toBe(0);
    deposits(budget, 3);
    expect(withdrawals(budget)).toBe(3);
    lab.clock.jump(3_600_000); // a long idle time
    expect(budget.balance).toBe(0);
  });

  it('shows what it refused', () => {
    const budget = budgetWith({ minPerSecond: 1, ttl: '1s' });
    withdrawals(budget, 4);
    expect(budget.snapshot()).toEqual({
      options: { ratio: 0.2, minPerSecond: 1, ttl: 1000 },
      balance: 0,
      refused: 3,
    });
  });

  it('never grants more than ratio x calls + floor within any ttl', () => {
    const step = fc.record({
      calls: fc.nat(20),
      tries: fc.nat(20),
      pause: fc.constantFrom(0, 1, 99, 100, 950, 1000, 5000),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
        lab = new Lab();
        const budget = budgetWith({ ratio: 0.25, minPerSecond: 3, ttl: '1s' });
        const log: { at: number; calls: number; granted: number }[] = [];
        for (const { calls, tries, pause } of steps) {
          lab.clock.jump(pause);
          deposits(budget, calls);
          const grantedNow = withdrawals(budget, tries);
          log.push({ at: lab.clock.now(), calls, granted: grantedNow });
          if (grantedNow === 0) continue;
          // It remembers by tenths of its ttl: nine of them surely, the tenth in part.
          const now = lab.clock.now();
          const surely = log.filter(({ at }) => now - at < 900);
          const maybe = log.filter(({ at }) => now - at < 1000);
          const granted = surely.reduce((sum, entry) => sum + entry.granted, 0);
          const paid = maybe.reduce((sum, entry) => sum + entry.calls, 0);
          expect(granted).toBeLessThanOrEqual(paid * 0.25 + 3);
        }
      }),
      { numRuns: 500 },
    );
  });

  it('is paid into once for a call of a pipeline, whichever of its policies share it', async () => {
    const { runtime } = lab;
    const budget = budgetWith({ minPerSecond: 0, ratio: 0.2 });
    const policy = pipeline(
      retry({ maxAttempts: 3, baseDelay: 1, budget }, { runtime }),
      timeLimit('1m', { runtime }),
      hedge({ delay: 1000, budget }, { runtime }),
      retry({ maxAttempts: 2, baseDelay: 1, budget }, { runtime }),
    );
    let tries = 0;
    const calls = Array.from({ length: 100 }, () =>
      settled(policy.execute(() => (tries++, Promise.reject(down)))),
    );
    await lab.clock.runAll();
    await Promise.all(calls);
    expect(tries).toBe(120);
  });

  it('of its own is paid into by a policy inside another', async () => {
    const { runtime } = lab;
    const [outer, inner] = [1, 2].map(() => budgetWith({ minPerSecond: 0, ratio: 1 }));
    const policy = pipeline(
      retry({ maxAttempts: 2, baseDelay: 1, budget: outer }, { runtime }),
      hedge({ delay: 1000, budget: inner }, { runtime }),
    );
    let tries = 0;
    const call = settled(policy.execute(() => (tries++, Promise.reject(down))));
    await lab.clock.runAll();
    await call;
    expect(tries).toBe(4);
    expect([outer?.balance, inner?.balance]).toEqual([0, 0]);
  });

  it('refuses nonsense and names all of it', () => {
    const build = (): RetryBudget =>
      new RetryBudget({ ratio: -1, minPerSecond: NaN, ttl: 5 }, { name: 'shared' });
    expect(build).toThrow(ResilienceConfigError);
    for (const name of ['ratio', 'minPerSecond', 'ttl']) {
      expect(build).toThrow(`budget(shared).${name}`);
    }
  });
});
