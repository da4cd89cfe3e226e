/** The worst case in the start-up report is one that can happen, and nothing is worse. */
import {
  type Policy,
  RetryBudget,
  type RuntimeOptions,
  hedge,
  pipeline,
  timeLimit,
} from 'nestjs-bulwark';
import { FakeClock } from 'nestjs-bulwark/testing';
import { worstCaseOf } from '../../lib/nest/inspector/worst-case.js';

interface Setting {
  readonly runtime: RuntimeOptions & { readonly clock: FakeClock };
}

function setting(): Setting {
  return { runtime: { clock: new FakeClock(), random: () => 0.5 } };
}

/** What a call costs whose tries all hang. */
async function hanging(policies: readonly Policy[], { runtime: { clock } }: Setting) {
  let calls = 0;
  const began = clock.now();
  const work = (): Promise<never> => {
    calls++;
    return new Promise(() => undefined);
  };
  const duration = pipeline(...policies)
    .execute(work)
    .catch(() => clock.now() - began);
  await clock.runAll();
  return { duration: await duration, calls };
}

function emptyBudget(of: Setting): RetryBudget {
  const budget = new RetryBudget({ ratio: 0, minPerSecond: 10, ttl: 100 }, of);
  budget.withdraw();
  return budget;
}

it.each<[string, (of: Setting) => Policy, number]>([
  ['whose delay is shorter than a try', (of) => hedge({ delay: 100 }, of), 1100],
  ['of several tries', (of) => hedge({ delay: 100, maxHedges: 2 }, of), 1200],
  ['whose delay is longer than a try', (of) => hedge({ delay: 5000 }, of), 2000],
  ['whose quantile is not known yet', (of) => hedge({ delay: 'p95' }, of), 2000],
  ['whose budget was empty', (of) => hedge({ delay: 100, budget: emptyBudget(of) }, of), 2000],
])('of a hedge %s', async (_which, make, duration) => {
  const of = setting();
  const policies = [make(of), timeLimit(1000, of)];
  expect(worstCaseOf(policies).duration).toBe(duration);
  expect((await hanging(policies, of)).duration).toBe(duration);
});
