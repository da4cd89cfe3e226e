import fc from 'fast-check';
import { RetryConfig, type RetryOptions, ResilienceConfigError, retry } from 'nestjs-bulwark/core';
import { Lab, down } from '../support/lab.js';

const delays = (options: RetryOptions, count: number, random = () => 0.5): number[] => {
  const config = new RetryConfig(options);
  return Array.from({ length: count }, (_, at) =>
    config.calculateDelay(at + 1, config.baseDelay, random),
  );
};

const waits = async (options: RetryOptions, lab: Lab, work: () => unknown): Promise<number[]> => {
  const seen: number[] = [];
  const onRetry = (_attempt: number, _error: unknown, delay: number): void => {
    seen.push(delay);
  };
  await lab.outcomeOf(retry({ ...options, onRetry }, { runtime: lab.runtime }).execute(work));
  return seen;
};

describe('R1 the delay grows', () => {
  it.each<[RetryOptions, number[]]>([
    [{}, [100, 200, 400, 800]],
    [{ backoff: 'exponential', exponentialBase: 3 }, [100, 300, 900, 2700]],
    [{ exponentialBase: 1 }, [100, 100, 100]],
    [{ exponentialBase: 1.5, baseDelay: 200 }, [200, 300, 450]],
    [{ backoff: 'constant', baseDelay: 70 }, [70, 70, 70]],
    [{ backoff: 'linear', baseDelay: 50 }, [50, 100, 150, 200]],
    [{ backoff: 'fibonacci', baseDelay: 10 }, [10, 10, 20, 30, 50, 80, 130]],
    [{ backoff: (attempt) => attempt * 7 }, [7, 14, 21]],
    [{ backoff: () => '2s' }, [2000, 2000]],
    [{ backoff: () => 0 }, [0, 0]],
    [{ backoff: 'linear', baseDelay: '50s' }, [50_000, 60_000, 60_000]],
    [{ backoff: 'fibonacci', baseDelay: '30s' }, [30_000, 30_000, 60_000, 60_000]],
    [{ backoff: () => '1h' }, [60_000]],
    [{ baseDelay: '2m' }, [60_000, 60_000]],
    [{ maxDelay: 0 }, [0, 0, 0]],
    [{ baseDelay: 0 }, [0, 0, 0]],
  ])('%j without jitter gives %j', (options, expected) => {
    expect(delays({ ...options, jitter: 0 }, expected.length)).toEqual(expected);
  });

  it('stays nothing where it starts with nothing, however often it doubles', () => {
    expect(new RetryConfig({ baseDelay: 0 }).calculateDelay(5000)).toBe(0);
  });

  it('is 1-based and pure but for chance', () => {
    const config = new RetryConfig({ jitter: 0 });
    expect([config.calculateDelay(3), config.calculateDelay(1), config.calculateDelay(3)]).toEqual([
      400, 100, 400,
    ]);
  });

  it('follows the Fibonacci numbers exactly as far as any cap reaches', () => {
    const config = new RetryConfig({
      backoff: 'fibonacci',
      baseDelay: 1,
      maxDelay: 2 ** 31 - 1,
      jitter: 0,
    });
    let [before, now] = [0, 1];
    for (let attempt = 1; attempt <= 46; attempt++) {
      expect(config.calculateDelay(attempt)).toBe(now);
      [before, now] = [now, before + now];
    }
  });

  it('uses real chance by default', () => {
    const config = new RetryConfig({ baseDelay: 1000, maxDelay: 1_000_000 });
    expect(
      new Set(Array.from({ length: 20 }, () => config.calculateDelay(1))).size,
    ).toBeGreaterThan(1);
  });
});

const kinds = fc.constantFrom('exponential', 'constant', 'linear', 'fibonacci');
const jitters = fc.oneof(
  fc.double({ min: 0, max: 1, noNaN: true }),
  fc.constantFrom('full', 'equal', 'decorrelated'),
);
const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('R1 jitter', () => {
  it.each<[RetryOptions['jitter'], number, number]>([
    [0, 100, 100],
    [0.1, 90, 110],
    [0.5, 50, 150],
    [1, 0, 200],
    ['full', 0, 100],
    ['equal', 50, 100],
    ['decorrelated', 100, 300],
  ])('%p spreads a delay of 100 ms from %d to %d', (jitter, least, most) => {
    const at = (random: number): number => delays({ jitter }, 1, () => random)[0] ?? NaN;
    expect(at(0)).toBeCloseTo(least, 6);
    expect(at(1 - 1e-12)).toBeCloseTo(most, 6);
    expect(at(0.5)).toBeCloseTo((least + most) / 2, 6);
  });

  it('never takes a delay above maxDelay, below nothing, or out of the numbers', () => {
    fc.assert(
      fc.property(
        kinds,
        jitters,
        chance,
        fc.double({ min: 0, max: 2 ** 31 - 1, noNaN: true }),
        fc.double({ min: 0, max: 2 ** 31 - 1, noNaN: true }),
        fc.double({ min: 1, max: 10, noNaN: true }),
        fc.integer({ min: 1, max: 100_000 }),
        (backoff, jitter, random, baseDelay, maxDelay, exponentialBase, attempt) => {
          const config = new RetryConfig({ backoff, jitter, baseDelay, maxDelay, exponentialBase });
          const delay = config.calculateDelay(attempt, baseDelay, () => random);
          expect(delay).toBeGreaterThanOrEqual(0);
          expect(delay).toBeLessThanOrEqual(maxDelay);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it.each<RetryOptions['jitter']>([0.1, 1, 'full', 'equal', 'decorrelated'])(
    '%p still spreads at the cap: two callers out of luck do not come back in one instant',
    (jitter) => {
      const config = new RetryConfig({ jitter, maxDelay: 10_000 });
      const at = (random: number): number => config.calculateDelay(30, 10_000, () => random);
      const spread = [0, 0.2, 0.4, 0.6, 0.8, 0.99].map(at);
      expect(new Set(spread).size).toBe(spread.length);
      expect(Math.max(...spread)).toBeLessThanOrEqual(10_000);
    },
  );

  it('at the cap without jitter is exactly the cap', () => {
    expect(new RetryConfig({ jitter: 0, maxDelay: 777 }).calculateDelay(30)).toBe(777);
  });

  it('decorrelated grows from the delay before, which a run hands on', async () => {
    const lab = new Lab();
    const options: RetryOptions = { jitter: 'decorrelated', maxAttempts: 4 };
    // Half way between the base and three times the delay before.
    expect(await waits(options, lab, () => Promise.reject(down))).toEqual([200, 350, 575]);
    const config = new RetryConfig(options);
    expect(config.calculateDelay(9, 350, () => 0.5)).toBe(575);
    expect(config.calculateDelay(9, undefined, () => 0.5)).toBe(200);
  });

  it('and cap apply to the delays of a function too', () => {
    const options: RetryOptions = { backoff: () => 1000, maxDelay: 1500, jitter: 0.5 };
    expect(delays(options, 1, () => 0)).toEqual([500]);
    expect(delays(options, 1, () => 1)).toEqual([1500]);
    expect(delays({ ...options, backoff: () => '1h' }, 1, () => 0)).toEqual([500]);
  });
});

describe('a back-off function', () => {
  let lab: Lab;
  beforeEach(() => {
    lab = new Lab();
  });

  it('gets the attempt that failed and its error, once for each wait', async () => {
    const seen: unknown[] = [];
    const backoff = (attempt: number, error: unknown): number => {
      seen.push([attempt, error]);
      return 10;
    };
    await waits({ backoff }, lab, () => Promise.reject(down));
    expect(seen).toEqual([
      [1, down],
      [2, down],
    ]);
  });

  it('may be a table that ends with the last wait (R3)', async () => {
    const table = [10, 20];
    const policy = retry(
      { backoff: (attempt) => table[attempt - 1] as number, jitter: 0 },
      { runtime: lab.runtime },
    );
    const error = await lab.errorOf(policy.execute(() => Promise.reject(down)));
    expect(error).toMatchObject({ code: 'RETRY_EXHAUSTED', attempts: 3, cause: down });
    expect(lab.logger.errors).toEqual([]);
  });

  it.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('backoff');
      },
    ],
    ['gives a negative number', () => -1],
    ['gives NaN', () => NaN],
    ['gives nothing', () => undefined],
    ['gives no duration', () => 'soon'],
    ['gives a symbol', () => Symbol('soon')],
    ['gives an object without a prototype', () => Object.create(null) as object],
  ])('that %s ends the retries with the original error, and is logged', async (_what, backoff) => {
    const policy = retry({ backoff: backoff as () => number }, { runtime: lab.runtime });
    expect(await lab.errorOf(policy.execute(() => Promise.reject(down)))).toBe(down);
    expect(lab.logger.errors).toMatchObject([{ message: expect.stringContaining('backoff') }]);
    expect(policy.snapshot().calls.not_retryable).toBe(1);
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('that gives no duration is told what it gave', async () => {
    const policy = retry({ backoff: () => -1 }, { runtime: lab.runtime });
    await lab.outcomeOf(policy.execute(() => Promise.reject(down)));
    expect(lab.logger.errors).toMatchObject([
      { cause: new RangeError('backoff must return a duration that is not negative, got -1') },
    ]);
  });

  it('that throws after an unwanted value gives the value back', async () => {
    const policy = retry(
      {
        retryOnResult: () => true,
        backoff: () => {
          throw new Error('backoff');
        },
      },
      { runtime: lab.runtime },
    );
    expect(await lab.outcomeOf(policy.execute(() => 'poor'))).toEqual({ value: 'poor' });
  });
});

describe('RetryConfig', () => {
  it('is complete, frozen, in milliseconds, and can be copied', () => {
    const config = new RetryConfig({ baseDelay: '1s', maxDelay: '2m', maxDuration: '1h' });
    expect(config).toMatchObject({ baseDelay: 1000, maxDelay: 120_000, maxDuration: 3_600_000 });
    expect(config).toMatchObject({ maxAttempts: 3, jitter: 0.1, respectRetryAfter: true });
    expect(Object.isFrozen(config)).toBe(true);
    expect(new RetryConfig(Object.assign({}, config, { maxAttempts: 7 }))).toMatchObject({
      maxAttempts: 7,
      baseDelay: 1000,
    });
    expect(retry(config).options).toBe(config);
  });

  it.each<[object, string]>([
    [{ maxAttempts: 0 }, 'retry.maxAttempts must be a whole number of at least 1, got 0'],
    [{ maxAttempts: 2.5 }, 'retry.maxAttempts'],
    [{ maxAttempts: Infinity }, 'retry.maxAttempts'],
    [{ maxAttempts: '3' }, 'retry.maxAttempts'],
    [{ baseDelay: -1 }, 'retry.baseDelay must be a duration'],
    [{ baseDelay: 'fast' }, 'retry.baseDelay'],
    [{ maxDelay: NaN }, 'retry.maxDelay'],
    [{ maxDelay: '30d' }, 'retry.maxDelay'],
    [{ exponentialBase: 0.5 }, 'retry.exponentialBase must be a number of at least 1, got 0.5'],
    [{ jitter: 1.1 }, 'retry.jitter must be a number of at least 0 and at most 1, or be one of'],
    [{ jitter: 'ful' }, 'did you mean "full"'],
    [{ backoff: 'fibonaci' }, 'did you mean "fibonacci"'],
    [
      { backoff: async () => 50 },
      'retry.backoff must be one of "exponential", "constant", "linear", "fibonacci", or be a function that returns a duration (not async)',
    ],
    [{ retryOn: [42] }, 'retry.retryOn must be an error class'],
    [{ retryOn: async () => true }, 'not async'],
    [{ abortOn: '' }, 'retry.abortOn'],
    [
      { retryOnResult: 'no' },
      'retry.retryOnResult must be a function that returns true or false (not async)',
    ],
    [{ onRetry: {} }, 'retry.onRetry must be a function'],
    [{ maxDuration: -5 }, 'retry.maxDuration'],
    [{ respectRetryAfter: 1 }, 'retry.respectRetryAfter must be true or false, got 1'],
    [{ budget: 5 }, 'retry.budget must be a RetryBudget or the name of one'],
    [{ maxAttempt: 3 }, 'retry.maxAttempt is not a known option; did you mean "maxAttempts"?'],
  ])('refuses %j', (options, message) => {
    expect(() => new RetryConfig(options)).toThrow(ResilienceConfigError);
    expect(() => new RetryConfig(options)).toThrow(message);
  });

  it('names every problem at once', () => {
    const all = { maxAttempts: 0, baseDelay: 'x', jitter: 9, retryOn: 1, typo: true };
    const issues = ['maxAttempts', 'baseDelay', 'jitter', 'retryOn', 'typo'];
    expect(() => new RetryConfig(all as object)).toThrow(
      expect.objectContaining({
        issues: expect.arrayContaining(
          issues.map((name): unknown => expect.stringContaining(name)),
        ),
      }),
    );
  });

  it('a budget by name is refused where no module knows names', () => {
    expect(() => retry({ budget: 'shared' }, { name: 'api' })).toThrow(
      'retry(api).budget "shared" is a name',
    );
  });
});
