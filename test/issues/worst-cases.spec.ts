/** The worst case in the start-up report is one that can happen, and nothing is worse. */
import {
  CircuitBreaker,
  type Policy,
  ResilienceError,
  RetryBudget,
  RetryConfig,
  RetryExhaustedError,
  type RetryOptions,
  type RuntimeOptions,
  TimeoutError,
  bulkhead,
  hedge,
  pipeline,
  retry,
  timeLimit,
} from 'nestjs-bulwark';
import { FakeClock } from 'nestjs-bulwark/testing';
import { longestWaits, worstCaseOf } from '../../lib/nest/inspector/worst-case.js';

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

describe('of a retry in a retry, which do not multiply (R4)', () => {
  const plain: RetryOptions = { baseDelay: 10, jitter: 0 };
  const again =
    (options: RetryOptions = {}) =>
    (of: Setting): Policy =>
      retry({ ...plain, ...options }, of);
  const limit =
    (ms: number) =>
    (of: Setting): Policy =>
      timeLimit(ms, of);
  const once = 3 * 100 + 10 + 20;
  const thrice = 3 * once + 10 + 20;

  it.each<[string, ((of: Setting) => Policy)[], number, number]>([
    ['side by side', [again(), again()], 3, once],
    ['three of them', [again(), again(), again()], 3, once],
    [
      'with gates between them',
      [again(), (of) => new CircuitBreaker('b', {}, of), (of) => bulkhead({}, of), again()],
      3,
      once,
    ],
    ['an outer one that names it', [again({ retryOn: RetryExhaustedError }), again()], 9, thrice],
    ['an outer one that names its base', [again({ retryOn: ResilienceError }), again()], 9, thrice],
    ['a limit between them that may run out', [again(), limit(100), again()], 9, 3 * 100 + 10 + 20],
    ['an inner one that passes errors on', [again(), again({ retryOn: () => false })], 9, thrice],
    ['an inner one that aborts', [again(), again({ abortOn: TimeoutError })], 9, thrice],
    [
      'an outer one that repeats results',
      [again({ retryOnResult: () => true }), again()],
      9,
      thrice,
    ],
  ])('%s', (_which, makers, calls, duration) => {
    const of = setting();
    const policies = [...makers, limit(100)].map((make) => make(of));
    expect(worstCaseOf(policies)).toMatchObject({ calls, duration });
  });

  it('is what happens', async () => {
    const of = setting();
    const policies = [again(), again(), limit(100)].map((make) => make(of));
    expect(await hanging(policies, of)).toEqual({ calls: 3, duration: once });
  });
});

describe('of a retry that never gives up', () => {
  const backoffs = ['exponential', 'constant', 'linear', 'fibonacci'] as const;
  const jitters = [0, 0.1, 'full', 'equal', 'decorrelated'] as const;
  const kinds = backoffs.flatMap((backoff) => jitters.map((jitter) => ({ backoff, jitter })));
  const others: RetryOptions[] = [{ baseDelay: 0 }, { exponentialBase: 1 }, { maxDelay: 10 }];
  const of = { baseDelay: 100, maxDelay: 5000 };

  it.each([...kinds, ...others])('the waits are summed up without an end to it: %p', (kind) => {
    const endless = retry({ ...of, ...kind, maxAttempts: Number.MAX_SAFE_INTEGER }).options;
    let looks = 0;
    const counted = {
      ...endless,
      get jitter() {
        if (++looks > 1000) throw new Error('Still adding');
        return endless.jitter;
      },
    };
    expect(longestWaits(counted)).toBeGreaterThanOrEqual(0);
  });

  it.each([...kinds, ...others])('the sum is that of each of them: %p', (kind) => {
    const config = new RetryConfig({ ...of, ...kind });
    let [sum, last] = [0, config.baseDelay];
    for (let attempts = 2; attempts < 80; attempts++) {
      last = config.calculateDelay(attempts - 1, last, () => 1 - Number.EPSILON);
      sum += last;
      const { options } = retry({ ...of, ...kind, maxAttempts: attempts });
      expect(longestWaits(options)).toBeCloseTo(sum, 6);
    }
  });

  it('a back-off of its own counts with the cap', () => {
    const { options } = retry({ ...of, backoff: () => 1, maxAttempts: 10 });
    expect(longestWaits(options)).toBe(9 * 5000);
  });
});
