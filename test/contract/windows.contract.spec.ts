import fc from 'fast-check';
import type { CircuitBreakerOptions } from 'nestjs-bulwark/core';
import { type Oracle, type Outcome, type WindowKind, describeWindow } from './windows.contract.js';

/** A share as people write it: the literal for the breaker, a fraction of whole numbers for the oracle. */
interface Share {
  readonly parts: number;
  readonly of: number;
}
const share: fc.Arbitrary<Share> = fc.oneof(
  fc.integer({ min: 1, max: 10 }).map((parts) => ({ parts, of: 10 })),
  fc.integer({ min: 1, max: 100 }).map((parts) => ({ parts, of: 100 })),
  fc.integer({ min: 1, max: 1000 }).map((parts) => ({ parts, of: 1000 })),
  fc.constantFrom({ parts: 1, of: 3 }, { parts: 2, of: 3 }, { parts: 1, of: 7 }),
);
const written = ({ parts, of }: Share): number => parts / of;
const reached = (count: number, calls: number, { parts, of }: Share): boolean =>
  count * of >= parts * calls;

const SLOW = 5;
interface Rates {
  readonly failureRate: Share;
  readonly slowCallRate: Share | undefined;
  readonly minimumCalls: number;
}
const rates = (most: number): fc.Arbitrary<Rates> =>
  fc.record({
    failureRate: share,
    slowCallRate: fc.option(share, { nil: undefined }),
    minimumCalls: fc.integer({ min: 1, max: most }),
  });
const ratesWritten = ({ failureRate, slowCallRate, minimumCalls }: Rates): object => ({
  failureRate: written(failureRate),
  minimumCalls,
  ...(slowCallRate && { slowCallRate: written(slowCallRate), slowCallDuration: SLOW }),
});

function rule(seen: readonly Outcome[], rates: Rates): string | undefined {
  const failures = seen.filter(({ failed }) => failed).length;
  const slow = seen.filter(({ took }) => took > SLOW).length;
  if (seen.length < rates.minimumCalls) return undefined;
  if (reached(failures, seen.length, rates.failureRate)) return 'failure_rate';
  const { slowCallRate } = rates;
  const isSlow = slowCallRate !== undefined && reached(slow, seen.length, slowCallRate);
  return isSlow ? 'slow_call_rate' : undefined;
}

const consecutive: WindowKind = {
  name: 'consecutive',
  brisk: { failureThreshold: 2 },
  cases: fc.integer({ min: 1, max: 6 }).map((failureThreshold) => ({
    options: { failureThreshold, window: { type: 'consecutive' } },
    step: 1000,
    oracle: (outcomes) =>
      outcomes.length >= failureThreshold &&
      outcomes.slice(-failureThreshold).every(({ failed }) => failed)
        ? 'consecutive_failures'
        : undefined,
  })),
};

const count: WindowKind = {
  name: 'count',
  brisk: { window: { type: 'count', size: 5, minimumCalls: 2, failureRate: 0.6 } },
  cases: fc
    .integer({ min: 1, max: 40 })
    .chain((size) => rates(size).map((given) => ({ size, given })))
    .map(({ size, given }): { options: CircuitBreakerOptions; oracle: Oracle; step: number } => ({
      options: { window: { type: 'count', size, ...ratesWritten(given) } },
      step: 1000,
      oracle: (outcomes) => rule(outcomes.slice(-size), given),
    })),
};

/** Which tenth of the window an instant is in; in whole numbers, since instants may end in .5. */
const tenth = (at: number, duration: number): bigint =>
  (BigInt(at * 20) * 10n) / BigInt(duration * 20);

const time: WindowKind = {
  name: 'time',
  brisk: { window: { type: 'time', duration: '10s', minimumCalls: 2, failureRate: 0.6 } },
  cases: fc
    .record({ duration: fc.constantFrom(10, 11, 70, 100, 1000, 1100, 5000), given: rates(12) })
    .map(({ duration, given }) => ({
      options: { window: { type: 'time', duration, ...ratesWritten(given) } },
      step: duration / 10,
      oracle: (outcomes, now) =>
        rule(
          outcomes.filter(({ at }) => tenth(at, duration) > tenth(now, duration) - 10n),
          given,
        ),
    })),
};

for (const kind of [consecutive, count, time]) describeWindow(kind);
