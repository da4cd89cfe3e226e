import fc from 'fast-check';
import {
  type Policy,
  ResilienceConfigError,
  RetryBudget,
  type RetryBudgetOptions,
  hedge,
  retry,
} from 'nestjs-bulwark/core';
import { Lab, down, settled, thrownBy } from '../support/lab.js';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});

const budgetOf = (options?: RetryBudgetOptions): RetryBudget =>
  new RetryBudget(options, { runtime: lab.runtime });
const pay = (budget: RetryBudget, calls: number): void => {
  for (let call = 0; call < calls; call++) budget.deposit();
};
const takeAll = (budget: RetryBudget): number => {
  let taken = 0;
  while (taken < 10_000 && budget.withdraw()) taken++;
  return taken;
};

describe('R74 the load that retries and hedges add', () => {
  const step = fc.record({
    calls: fc.nat(12),
    tries: fc.nat(12),
    pause: fc.constantFrom(0, 1, 7, 49, 50, 51, 99, 100, 450, 500, 949, 950, 999, 1000, 1001, 9000),
  });
  const options = fc.record({
    ratio: fc.constantFrom(0, 0.1, 0.2, 0.5, 1, 3),
    minPerSecond: fc.constantFrom(0, 0.5, 1, 5),
  });

  it('stays within ratio x calls + floor, in any ttl that ends with an extra attempt', () => {
    fc.assert(
      fc.property(
        options,
        fc.constantFrom(0, 33, 12_345.5),
        fc.array(step, { minLength: 1, maxLength: 60, size: 'max' }),
        ({ ratio, minPerSecond }, startedAt, steps) => {
          lab = new Lab();
          lab.clock.jump(startedAt);
          const ttl = 1000;
          const budget = budgetOf({ ratio, minPerSecond, ttl });
          const log: { at: number; calls: number; extras: number }[] = [];
          for (const { calls, tries, pause } of steps) {
            lab.clock.jump(pause);
            pay(budget, calls);
            let extras = 0;
            for (let at = 0; at < tries; at++) if (budget.withdraw()) extras++;
            const now = lab.clock.now();
            log.push({ at: now, calls, extras });
            if (extras === 0) continue;
            const within = log.filter(({ at }) => now - at < ttl);
            const paid = within.reduce((sum, each) => sum + each.calls, 0);
            const added = within.reduce((sum, each) => sum + each.extras, 0);
            const most = ratio * paid + minPerSecond;
            if (added > most + 1e-6) throw new Error(`${String(added)} of ${String(most)}`);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('gets close to that bound where everything fails, for as long as it does', () => {
    const budget = budgetOf({ ratio: 0.2, minPerSecond: 0, ttl: '10s' });
    let extras = 0;
    for (let call = 0; call < 100_000; call++) {
      lab.clock.jump(10);
      budget.deposit();
      if (budget.withdraw()) extras++;
    }
    expect(extras / 100_000).toBeLessThanOrEqual(0.2);
    expect(extras / 100_000).toBeGreaterThan(0.18);
  });

  it('may be as much as the floor in quiet times, spread or at once', () => {
    const budget = budgetOf({ ratio: 0, minPerSecond: 2, ttl: '5s' });
    expect(takeAll(budget)).toBe(10);
    lab.clock.jump(4000);
    expect(takeAll(budget)).toBe(0);
    lab.clock.jump(1500);
    expect(takeAll(budget)).toBe(10);
  });

  it.each([
    [0.29, 100, 29],
    [0.07, 100, 7],
    [0.1, 30, 3],
    [0.57, 100, 57],
    [1 / 3, 3, 1],
    [0.2, 4, 0],
  ])('of %d for %d calls is %d, however it rounds', (ratio, calls, extras) => {
    const budget = budgetOf({ ratio, minPerSecond: 0 });
    pay(budget, calls);
    expect(takeAll(budget)).toBe(extras);
  });
});

describe('R74 time', () => {
  it.each([
    [9000, 4],
    [9400, 4],
    [10_000, 0],
    [100_000_000_000, 0],
  ])('a call of %d ms ago counts for %d of 4', (later, left) => {
    const budget = budgetOf({ ratio: 1, minPerSecond: 0, ttl: '10s' });
    pay(budget, 4);
    lab.clock.jump(later);
    expect(budget.balance).toBe(left);
    expect(takeAll(budget)).toBe(left);
  });

  it('R19 the wall clock has no say', () => {
    const budget = budgetOf({ ratio: 1, minPerSecond: 0 });
    pay(budget, 4);
    lab.clock.stepWallTime(1e10);
    expect(budget.balance).toBe(4);
  });

  it('costs nothing while idle: there is no timer', () => {
    pay(budgetOf(), 5);
    expect(lab.clock.pendingTimers).toBe(0);
  });
});

describe('R74 sharing', () => {
  const failing = (): Promise<never> => Promise.reject(down);
  const retried = (budget: RetryBudget): Policy =>
    retry({ maxAttempts: 3, baseDelay: 1, jitter: 0, budget }, { runtime: lab.runtime });
  const hedged = (budget: RetryBudget): Policy =>
    hedge({ delay: 10, maxHedges: 2, budget }, { runtime: lab.runtime });

  /** How often the work ran, and what came of it. */
  async function run(policy: Policy): Promise<{ runs: number; error: unknown }> {
    let runs = 0;
    const outcome = await lab.outcomeOf(
      policy.execute(() => {
        runs++;
        return failing();
      }),
    );
    return { runs, error: 'error' in outcome ? outcome.error : undefined };
  }

  it('a retry that gets nothing surfaces the original error, with the reason', async () => {
    const budget = budgetOf({ ratio: 0, minPerSecond: 0 });
    const { runs, error } = await run(retried(budget));
    expect(runs).toBe(1);
    expect(error).toMatchObject({
      code: 'RETRY_EXHAUSTED',
      reason: 'budget',
      attempts: 1,
      lastException: down,
      cause: down,
    });
    expect(budget.snapshot()).toMatchObject({ balance: 0, refused: 1 });
  });

  it('a hedge that gets nothing leaves the first try alone', async () => {
    const budget = budgetOf({ ratio: 0, minPerSecond: 0 });
    const { runs, error } = await run(hedged(budget));
    expect([runs, error]).toEqual([1, down]);
  });

  it('several retries draw on one budget', async () => {
    const budget = budgetOf({ ratio: 0, minPerSecond: 0.3, ttl: '10s' });
    const runs = [
      await run(retried(budget)),
      await run(retried(budget)),
      await run(retried(budget)),
    ];
    expect(runs.map((each) => each.runs)).toEqual([3, 2, 1]);
    expect(runs.map(({ error }) => (error as { reason: string }).reason)).toEqual([
      'attempts',
      'budget',
      'budget',
    ]);
  });

  it('retries and hedges draw on one budget', async () => {
    const budget = budgetOf({ ratio: 0, minPerSecond: 0.3, ttl: '10s' });
    expect((await run(hedged(budget))).runs).toBe(3);
    expect((await run(retried(budget))).runs).toBe(2);
    expect((await run(hedged(budget))).runs).toBe(1);
  });

  it('every call pays in, also one that needs no other attempt', async () => {
    const budget = budgetOf({ ratio: 0.5, minPerSecond: 0 });
    for (let call = 0; call < 2; call++) {
      await retried(budget).execute(() => 1);
      await hedged(budget).execute(() => 1);
    }
    expect(budget.balance).toBe(2);
    expect((await run(retried(budget))).runs).toBe(3);
    expect(budget.balance).toBe(0.5);
  });

  it('keeps the load of many callers within its bound, where each would triple it', async () => {
    const budget = budgetOf({ ratio: 0.2, minPerSecond: 1, ttl: '10s' });
    let runs = 0;
    const calls = Array.from({ length: 500 }, () =>
      settled(
        retried(budget).execute(() => {
          runs++;
          return failing();
        }),
      ),
    );
    await lab.clock.runAll();
    await Promise.all(calls);
    expect(runs).toBe(500 + 100 + 10);
  });

  it('by a name is known to a module only, and says so', () => {
    for (const make of [
      () => retry({ budget: 'shared' }),
      () => hedge({ delay: 5, budget: 'shared' }),
    ]) {
      const error = thrownBy(make);
      expect(error).toBeInstanceOf(ResilienceConfigError);
      expect((error as Error).message).toContain('budget "shared" is a name');
    }
  });

  it.each([0, true, {}, '', null])('a budget of %p is refused', (budget) => {
    const error = thrownBy(() => retry({ budget: budget as RetryBudget }));
    expect((error as Error).message).toContain('budget must be a RetryBudget or the name of one');
  });
});

describe('R74 bad options', () => {
  it.each<[string, unknown]>([
    ['ratio', -0.1],
    ['ratio', NaN],
    ['ratio', Infinity],
    ['ratio', '0.2'],
    ['minPerSecond', -1],
    ['minPerSecond', Infinity],
    ['minPerSecond', null],
    ['ttl', 99],
    ['ttl', 'soon'],
    ['ttl', -5],
  ])('%s %p', (name, value) => {
    const error = thrownBy(() => budgetOf({ [name]: value })) as ResilienceConfigError;
    expect(error).toBeInstanceOf(ResilienceConfigError);
    expect(error.issues).toEqual([expect.stringContaining(`budget(default).${name} must be`)]);
  });

  it('an unknown one, with the nearest name', () => {
    expect(() => budgetOf({ minPerSec: 5 } as RetryBudgetOptions)).toThrow(
      'budget(default).minPerSec is not a known option; did you mean "minPerSecond"?',
    );
  });

  it('defaults', () => {
    expect(budgetOf().options).toEqual({ ratio: 0.2, minPerSecond: 10, ttl: 10_000 });
    expect(budgetOf({ ratio: undefined, ttl: '1m' }).options).toMatchObject({
      ratio: 0.2,
      ttl: 60_000,
    });
  });
});
