import fc from 'fast-check';
import {
  CircuitBreaker,
  type CircuitBreakerOptions,
  type Permit,
  ResilienceConfigError,
} from 'nestjs-bulwark/core';
import { Lab, down, play, thrownBy } from '../support/lab.js';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});

/** Ten probes of which fewer than half may fail. */
const rated = (options?: CircuitBreakerOptions): CircuitBreaker =>
  new CircuitBreaker(
    'payments',
    { failureThreshold: 1, halfOpenMaxCalls: 10, halfOpenFailureRate: 0.5, ...options },
    { runtime: lab.runtime },
  );

/** A breaker that is half-open from the next call on. */
async function recovering(options?: CircuitBreakerOptions): Promise<CircuitBreaker> {
  const breaker = rated(options);
  await play(breaker, 'fw', lab);
  return breaker;
}

function settleAs(permit: Permit | undefined, letter: string): void {
  if (letter === 's') permit?.success();
  if (letter === 'f') permit?.failure(down);
  if (letter === 'i') permit?.release();
}

describe('R77 a half-open breaker with a failure rate', () => {
  it.each<[CircuitBreakerOptions, string, string, string]>([
    // decides as soon as it is certain: five failures of ten reach 50%, six successes rule it out
    [{}, 'ffff', 'ffff', 'half_open'],
    [{}, 'fffff', 'fffff', 'open'],
    [{}, 'ffffffs', 'fffffxx', 'open'],
    [{}, 'sssss', 'sssss', 'half_open'],
    [{}, 'ssssss', 'ssssss', 'closed'],
    [{}, 'sfsfsfsfs', 'sfsfsfsfs', 'half_open'],
    [{}, 'sfsfsfsfsf', 'sfsfsfsfsf', 'open'],
    [{}, 'sfsfsfsfss', 'sfsfsfsfss', 'closed'],
    [{}, 'ffffssssss', 'ffffssssss', 'closed'],
    // an outcome that says nothing takes no place
    [{}, 'iiiiiiiiiiiiiiffff', 'iiiiiiiiiiiiiiffff', 'half_open'],
    [{}, 'ififififif', 'ififififif', 'open'],
    [{}, 'sisisisisis', 'sisisisisis', 'closed'],
    // successThreshold has no say
    [{ successThreshold: 1 }, 's', 's', 'half_open'],
    [{ successThreshold: 100 }, 'ssssss', 'ssssss', 'closed'],
    // shares
    [{ halfOpenFailureRate: 1, halfOpenMaxCalls: 3 }, 'ff', 'ff', 'half_open'],
    [{ halfOpenFailureRate: 1, halfOpenMaxCalls: 3 }, 'fff', 'fff', 'open'],
    [{ halfOpenFailureRate: 1, halfOpenMaxCalls: 3 }, 's', 's', 'closed'],
    [{ halfOpenFailureRate: 0.01 }, 'sssssssss', 'sssssssss', 'half_open'],
    [{ halfOpenFailureRate: 0.01 }, 'ssssssssss', 'ssssssssss', 'closed'],
    [{ halfOpenFailureRate: 0.01 }, 'f', 'f', 'open'],
    [{ halfOpenMaxCalls: 1 }, 's', 's', 'closed'],
    [{ halfOpenMaxCalls: 1 }, 'f', 'f', 'open'],
    [{ halfOpenMaxCalls: 3, halfOpenFailureRate: 0.34 }, 'fs', 'fs', 'half_open'],
    [{ halfOpenMaxCalls: 3, halfOpenFailureRate: 0.34 }, 'fss', 'fss', 'closed'],
    [{ halfOpenMaxCalls: 100, halfOpenFailureRate: 0.07 }, 'f'.repeat(6), 'ffffff', 'half_open'],
    [{ halfOpenMaxCalls: 100, halfOpenFailureRate: 0.07 }, 'f'.repeat(7), 'fffffff', 'open'],
  ])('with %j comes, after "%s", to "%s" and is %s', async (options, history, seen, state) => {
    const breaker = await recovering(options);
    expect(await play(breaker, history, lab)).toBe(seen);
    expect(breaker.state).toBe(state);
  });

  it('counts results and probes in flight together', async () => {
    const breaker = await recovering({ halfOpenMaxCalls: 4 });
    const permits = [1, 2, 3, 4].map(() => breaker.tryAcquire());
    expect(breaker.tryAcquire()).toBeUndefined();
    permits[0]?.success();
    expect(breaker.tryAcquire()).toBeUndefined(); // its result has taken the place
    permits[1]?.release();
    const another = breaker.tryAcquire(); // one that told nothing has given its place back
    expect(another).toBeDefined();
    expect(breaker.tryAcquire()).toBeUndefined();
    another?.failure(down);
    expect(breaker.tryAcquire()).toBeUndefined();
    expect(breaker.state).toBe('half_open');
    permits[2]?.success();
    expect(breaker.state).toBe('half_open'); // the last could make it half
    permits[3]?.success();
    expect(breaker.state).toBe('closed');
    expect(breaker.stats).toMatchObject({ inFlight: 0, ignoredCalls: 1, rejectedCalls: 4 });
  });

  it('R15 gives the place of a hung probe to another, and does not count it later', async () => {
    const breaker = await recovering({ halfOpenMaxCalls: 2, probeTimeout: 500 });
    const hung = [breaker.tryAcquire(), breaker.tryAcquire()];
    lab.clock.jump(499);
    expect(breaker.tryAcquire()).toBeUndefined();
    lab.clock.jump(1);
    const next = [breaker.tryAcquire(), breaker.tryAcquire()];
    expect(breaker.tryAcquire()).toBeUndefined();
    for (const late of hung) late?.failure(down);
    expect(breaker.state).toBe('half_open');
    for (const permit of next) permit?.success();
    expect(breaker.state).toBe('closed');
  });

  it('starts counting anew in each half-open period', async () => {
    const breaker = await recovering();
    await play(breaker, 'sssssfffff', lab);
    expect(breaker.state).toBe('open');
    expect(await play(breaker, 'wsssss', lab)).toBe('sssss');
    expect(breaker.state).toBe('half_open');
    expect(await play(breaker, 's', lab)).toBe('s');
    expect(breaker.state).toBe('closed');
  });

  it('R84 reports the figures that it compared', async () => {
    const breaker = await recovering({ halfOpenMaxCalls: 4 });
    await play(breaker, 'sff', lab);
    expect(breaker.snapshot().lastOpening).toEqual({
      rule: 'probe_failure_rate',
      figures: {
        probeSuccesses: 1,
        probeFailures: 2,
        halfOpenMaxCalls: 4,
        halfOpenFailureRate: 0.5,
      },
      topFailures: [{ name: 'Error', count: 2 }],
    });
  });

  it('decides as counting to the end would, and no later than certain', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 30 }),
        fc.integer({ min: 1, max: 100 }),
        fc.array(fc.constantFrom('s', 'f', 'i'), { minLength: 1, maxLength: 80, size: 'max' }),
        (calls, percent, history) => {
          lab = new Lab();
          const breaker = rated({
            halfOpenMaxCalls: calls,
            halfOpenFailureRate: Number(`${String(percent)}e-2`),
          });
          breaker.tryAcquire()?.failure(down);
          lab.clock.jump(30_000);
          const counts = { s: 0, f: 0, i: 0 };
          for (const letter of history) {
            settleAs(breaker.tryAcquire(), letter);
            counts[letter as 's']++;
            const tooMany = (failures: number): boolean => failures * 100 >= percent * calls;
            const expected = tooMany(counts.f)
              ? 'open'
              : tooMany(calls - counts.s)
                ? 'half_open'
                : 'closed';
            if (breaker.state !== expected) {
              throw new Error(`${breaker.state} instead of ${expected}: ${JSON.stringify(counts)}`);
            }
            if (expected !== 'half_open') return;
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('R13 never gets stuck: from wherever it is left, a dependency that is well closes it', () => {
    const step = fc.constantFrom('a', 's', 'f', 'i', '.');
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 6 }),
        fc.constantFrom(0.2, 0.5, 1),
        fc.array(step, { maxLength: 60, size: 'max' }),
        (halfOpenMaxCalls, halfOpenFailureRate, steps) => {
          lab = new Lab();
          const breaker = rated({ halfOpenMaxCalls, halfOpenFailureRate });
          breaker.tryAcquire()?.failure(down);
          const permits: (Permit | undefined)[] = [];
          for (const letter of steps) {
            if (letter === '.') lab.clock.jump(10_000);
            else if (letter === 'a') permits.push(breaker.tryAcquire());
            else settleAs(permits.shift(), letter);
            const { totalCalls, ...stats } = breaker.stats;
            const { successfulCalls, failedCalls, rejectedCalls, ignoredCalls, inFlight } = stats;
            const sum = successfulCalls + failedCalls + rejectedCalls + ignoredCalls + inFlight;
            if (sum !== totalCalls) throw new Error(`R18: ${String(sum)}`);
          }
          lab.clock.jump(60_000);
          for (let at = 0; at < halfOpenMaxCalls; at++) breaker.tryAcquire()?.success();
          if (breaker.state !== 'closed') throw new Error(breaker.state);
        },
      ),
      { numRuns: 2000 },
    );
  });

  it.each([0, -0.5, 1.01, NaN, '0.5', true])('refuses a rate of %p', (halfOpenFailureRate) => {
    const error = thrownBy(() => rated({ halfOpenFailureRate: halfOpenFailureRate as number }));
    expect(error).toBeInstanceOf(ResilienceConfigError);
    expect((error as Error).message).toContain('circuitBreaker(payments).halfOpenFailureRate must');
  });
});
