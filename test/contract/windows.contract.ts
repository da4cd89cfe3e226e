import fc from 'fast-check';
import { CircuitBreaker, type CircuitBreakerOptions, type Permit } from 'nestjs-bulwark/core';
import { FakeClock } from 'nestjs-bulwark/testing';
import { down } from '../support/lab.js';

/** A completed call, as it would be written down by hand. */
export interface Outcome {
  readonly at: number;
  readonly failed: boolean;
  readonly took: number;
}

/** The rule that `outcomes`, the last of them new at `now`, break; by counting all of them again. */
export type Oracle = (outcomes: readonly Outcome[], now: number) => string | undefined;

/** One kind of window: options to try it with, and an oracle that keeps every outcome. */
export interface WindowKind {
  readonly name: string;
  /** Opens after two calls that both failed, not before, and not after two successes. */
  readonly brisk: CircuitBreakerOptions;
  readonly cases: fc.Arbitrary<{ options: CircuitBreakerOptions; oracle: Oracle; step: number }>;
}

type Step =
  | { readonly kind: 'call'; readonly failed: boolean; readonly took: number }
  | { readonly kind: 'start' }
  | { readonly kind: 'settle'; readonly which: number; readonly failed: boolean }
  | { readonly kind: 'ignore' }
  | { readonly kind: 'reset' }
  | { readonly kind: 'wait'; readonly steps: number };

const took = fc.constantFrom(0, 0, 1, 5, 6, 40);
// In tenths of a window, or of what stands for one: within, on and beside its borders, and idle.
const steps = fc.constantFrom(0.5, 1, 1, 2, 9, 9.5, 10, 10.5, 11, 25, 30_000);

/** Steps of which `percent` of the calls fail. */
const stepWith = (percent: number): fc.Arbitrary<Step> => {
  const failed = fc.nat(99).map((drawn) => drawn < percent);
  const call = fc.record({ kind: fc.constant('call' as const), failed, took });
  const settle = fc.record({ kind: fc.constant('settle' as const), which: fc.nat(5), failed });
  return fc.oneof(
    { weight: 12, arbitrary: call },
    { weight: 3, arbitrary: fc.constant({ kind: 'start' as const }) },
    { weight: 3, arbitrary: settle },
    { weight: 1, arbitrary: fc.constant({ kind: 'ignore' as const }) },
    { weight: 1, arbitrary: fc.constant({ kind: 'reset' as const }) },
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('wait' as const), steps }) },
  );
};
const histories = fc
  .constantFrom(0, 5, 10, 20, 30, 50, 90)
  .chain((percent) => fc.array(stepWith(percent), { minLength: 1, maxLength: 100, size: 'max' }));

/** The breaker and the oracle side by side, taken through one history. */
class Trial {
  private readonly clock: FakeClock;
  private readonly breaker: CircuitBreaker;
  private readonly running: { permit: Permit; startedAt: number; period: number }[] = [];
  private outcomes: Outcome[] = [];
  private period = 0;
  opened = 0;

  constructor(
    options: CircuitBreakerOptions,
    private readonly oracle: Oracle,
    private readonly tenth: number,
    startedAt: number,
  ) {
    this.clock = new FakeClock(startedAt);
    this.breaker = new CircuitBreaker('trial', options, { runtime: { clock: this.clock } });
  }

  take(step: Step): void {
    if (step.kind === 'wait') this.clock.jump(Math.round(step.steps * this.tenth * 2) / 2);
    else if (step.kind === 'start') this.start();
    else if (step.kind === 'settle') this.settle(step.which, step.failed);
    else if (step.kind === 'reset') this.reset();
    else if (step.kind === 'ignore') this.breaker.tryAcquire()?.release();
    else {
      this.start();
      this.clock.jump(step.took);
      this.settle(this.running.length - 1, step.failed);
    }
  }

  private start(): void {
    const permit = this.breaker.tryAcquire();
    if (permit === undefined) throw new Error('a closed breaker rejected a call');
    this.running.push({ permit, startedAt: this.clock.now(), period: this.period });
  }

  private settle(which: number, failed: boolean): void {
    const [call] = this.running.splice(which % Math.max(1, this.running.length), 1);
    if (call === undefined) return;
    const now = this.clock.now();
    let expected: string | undefined;
    if (call.period === this.period) {
      this.outcomes.push({ at: now, failed, took: now - call.startedAt });
      expected = this.oracle(this.outcomes, now);
    }
    if (failed) call.permit.failure(down);
    else call.permit.success();
    this.compare(expected);
  }

  private compare(expected: string | undefined): void {
    const { state } = this.breaker;
    if ((state === 'open') !== (expected !== undefined)) {
      const last = this.outcomes.slice(-12).map((each) => JSON.stringify(each));
      throw new Error(`${state}, but the oracle says ${String(expected)} after ${last.join()}`);
    }
    if (expected === undefined) return;
    const rule = this.breaker.snapshot().lastOpening?.rule;
    if (rule !== expected) throw new Error(`${String(rule)} instead of ${expected}`);
    this.opened++;
    this.reset();
  }

  private reset(): void {
    this.breaker.reset();
    this.outcomes = [];
    this.period++;
  }
}

/** What every window must do, whatever it counts. */
export function describeWindow({ name, brisk, cases }: WindowKind): void {
  describe(`R70 a ${name} window`, () => {
    let clock: FakeClock;
    const breakerWith = (options: CircuitBreakerOptions): CircuitBreaker =>
      new CircuitBreaker('window', options, { runtime: { clock } });
    beforeEach(() => {
      clock = new FakeClock();
    });
    const record = (breaker: CircuitBreaker, history: string): string => {
      for (const letter of history) {
        const permit = breaker.tryAcquire();
        if (letter === 's') permit?.success();
        if (letter === 'f') permit?.failure(down);
        if (letter === 'i') permit?.release();
      }
      return breaker.state;
    };

    it.each([
      ['', 'closed'],
      ['f', 'closed'],
      ['ss', 'closed'],
      ['ff', 'open'],
      ['fif', 'open'],
      ['iiii', 'closed'],
      ['fi', 'closed'],
    ])('after "%s" it is %s', (history, state) => {
      expect(record(breakerWith(brisk), history)).toBe(state);
    });

    it('begins anew after a reset, and after a recovery', () => {
      const breaker = breakerWith({ ...brisk, successThreshold: 1 });
      record(breaker, 'f');
      breaker.reset();
      expect(record(breaker, 'f')).toBe('closed');
      expect(record(breaker, 'f')).toBe('open');
      clock.jump(30_000);
      expect(record(breaker, 's')).toBe('closed');
      expect(record(breaker, 'f')).toBe('closed');
      expect(record(breaker, 'f')).toBe('open');
    });

    it('R14 takes nothing from a call of an earlier period', () => {
      const breaker = breakerWith(brisk);
      const late = [breaker.tryAcquire(), breaker.tryAcquire(), breaker.tryAcquire()];
      breaker.reset();
      for (const permit of late) permit?.failure(down);
      expect(breaker.state).toBe('closed');
      expect(record(breaker, 'f')).toBe('closed');
      expect(breaker.stats.failedCalls).toBe(4);
    });

    it('decides as an oracle does that keeps every outcome, for random histories', () => {
      let [opened, played] = [0, 0];
      fc.assert(
        fc.property(
          cases,
          fc.constantFrom(0, 1, 999_999.5, 86_400_000),
          histories,
          ({ options, oracle, step: tenth }, startedAt, history) => {
            const trial = new Trial(options, oracle, tenth, startedAt);
            for (const each of history) trial.take(each);
            opened += trial.opened;
            played++;
          },
        ),
        { numRuns: 4000 },
      );
      expect(opened).toBeGreaterThan(played / 4); // not agreed with for want of decisions
    });

    it('knows an oracle that is wrong', () => {
      const trial = new Trial(brisk, () => undefined, 1000, 0);
      trial.take({ kind: 'call', failed: true, took: 0 });
      expect(() => trial.take({ kind: 'call', failed: true, took: 0 })).toThrow('open, but');
    });
  });
}
