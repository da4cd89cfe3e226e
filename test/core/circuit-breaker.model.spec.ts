import fc from 'fast-check';
import {
  CircuitBreaker,
  CircuitBreakerError,
  type CircuitHold,
  type Permit,
} from 'nestjs-bulwark/core';
import { FakeClock } from 'nestjs-bulwark/testing';
import {
  BreakerModel,
  type ModelCall,
  type ModelOptions,
  type Settlement,
} from './circuit-breaker.model.js';

type Step =
  | { kind: 'call'; as: Settlement }
  | { kind: 'start' }
  | { kind: 'settle'; which: number; as: Settlement }
  | { kind: 'jump'; by: number }
  | { kind: 'hold'; what: 'isolate' | 'disable' }
  | { kind: 'release'; which: number }
  | { kind: 'reset' };

const settlement = fc.constantFrom<Settlement>('success', 'failure', 'ignored');
const options: fc.Arbitrary<ModelOptions> = fc.record({
  failureThreshold: fc.integer({ min: 1, max: 3 }),
  recoveryTimeout: fc.constantFrom(0, 10, 100),
  halfOpenMaxCalls: fc.integer({ min: 1, max: 3 }),
  successThreshold: fc.integer({ min: 1, max: 4 }),
  probeTimeout: fc.constantFrom(1, 10, 250),
});
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ kind: fc.constant('call'), as: settlement }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('start') }) },
  {
    weight: 5,
    arbitrary: fc.record({ kind: fc.constant('settle'), which: fc.nat(9), as: settlement }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ kind: fc.constant('jump'), by: fc.constantFrom(1, 9, 10, 100, 250) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('hold'),
      what: fc.constantFrom('isolate', 'disable'),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('release'), which: fc.nat(3) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reset') }) },
);

// `max`: by default fast-check prefers histories too short to come to anything.
const histories = fc.array(step, { minLength: 1, maxLength: 60, size: 'max' });

const failure = new Error('down');
const ignored = new DOMException('given up', 'AbortError');

/** The breaker and the model side by side, taken through one history. */
class Trial {
  private readonly clock = new FakeClock();
  private readonly model: BreakerModel;
  private readonly breaker: CircuitBreaker;
  private readonly running: { permit: Permit; call: ModelCall }[] = [];
  private readonly holds: { hold: CircuitHold; release: () => void }[] = [];
  private changes = 0;

  constructor(
    private readonly given: ModelOptions,
    modelled = given,
  ) {
    this.model = new BreakerModel(modelled);
    this.breaker = new CircuitBreaker('model', given, { runtime: { clock: this.clock } });
    this.breaker.onStateChange(({ from, to }) => {
      if (from !== to) this.changes++;
    });
  }

  take(step: Step): void {
    if (step.kind === 'call') this.call(step.as);
    if (step.kind === 'start') this.start();
    if (step.kind === 'settle') this.settle(step.which, step.as);
    if (step.kind === 'jump') this.jump(step.by);
    if (step.kind === 'hold') this.hold(step.what);
    if (step.kind === 'release') this.release(this.holds[step.which % this.holds.length]);
    if (step.kind === 'reset') this.reset();
  }

  private call(as: Settlement): void {
    const call = this.model.admit();
    const seen = this.throughBreaker(as);
    if (seen === 'rejected' || call === undefined) {
      same(seen, call === undefined ? 'rejected' : as);
      return;
    }
    same(seen, as);
    this.model.settle(call, as);
  }

  private throughBreaker(as: Settlement): string {
    const work = { called: false };
    try {
      this.breaker.executeSync(() => {
        work.called = true;
        if (as === 'failure') throw failure;
        if (as === 'ignored') throw ignored;
      });
    } catch (error) {
      if (error instanceof CircuitBreakerError) same(work.called, false);
      else same(error, as === 'failure' ? failure : ignored);
    }
    return work.called ? as : 'rejected';
  }

  private start(): void {
    const call = this.model.admit();
    const permit = this.breaker.tryAcquire();
    same(permit === undefined, call === undefined);
    if (permit && call) this.running.push({ permit, call });
  }

  private settle(which: number, as: Settlement): void {
    const [one] = this.running.splice(which % Math.max(1, this.running.length), 1);
    if (one === undefined) return;
    this.model.settle(one.call, as);
    if (as === 'success') one.permit.success();
    else one.permit.failure(as === 'failure' ? failure : ignored);
  }

  private jump(by: number): void {
    this.clock.jump(by);
    this.model.now += by;
  }

  private hold(what: 'isolate' | 'disable'): void {
    this.holds.push({ hold: this.breaker[what](), release: this.model.hold(what) });
  }

  private reset(): void {
    this.breaker.reset();
    this.model.reset();
  }

  private release(held: Trial['holds'][number] | undefined): void {
    held?.hold.release();
    held?.release();
  }

  compare(): void {
    const { breaker, model } = this;
    const { stats } = breaker;
    same(breaker.state, model.state);
    for (const [name, count] of Object.entries(model.totals)) {
      same(stats[name as keyof BreakerModel['totals']], count, name);
    }
    same(stats.stateChanges, model.stateChanges, 'stateChanges');
    same(this.changes, model.stateChanges, 'changes told');
    if (model.state === 'closed') same(stats.consecutiveFailures, model.failures, 'failures');
    const { successfulCalls, failedCalls, rejectedCalls, ignoredCalls, inFlight } = stats;
    const sum = successfulCalls + failedCalls + rejectedCalls + ignoredCalls + inFlight;
    same(stats.totalCalls, sum, 'R18');
    same(this.clock.pendingTimers, 0, 'timers');
  }

  /** R13, R15: from wherever the history has left it, a dependency that is well again closes it. */
  recover(): void {
    this.holds.forEach((held) => this.release(held));
    this.jump(this.given.recoveryTimeout + this.given.probeTimeout);
    for (let at = 0; at < this.given.successThreshold; at++) this.call('success');
    same(this.breaker.state, 'closed', 'recovered');
    this.compare();
  }
}

/** `expect` costs more than the histories themselves. */
function same(actual: unknown, expected: unknown, what = 'answer'): void {
  if (!Object.is(actual, expected)) {
    throw new Error(`${what}: the breaker has ${String(actual)}, the model ${String(expected)}`);
  }
}

describe('the breaker against the model', () => {
  it('R10-R18 agree after every step of 10,000 random histories, and none wedges it', () => {
    fc.assert(
      fc.property(options, histories, (given, steps) => {
        const trial = new Trial(given);
        for (const each of steps) {
          trial.take(each);
          trial.compare();
        }
        trial.recover();
      }),
      { numRuns: 10_000 },
    );
  });

  it('knows a breaker that is wrong: the model is not agreed with by accident', () => {
    const given: ModelOptions = {
      failureThreshold: 2,
      recoveryTimeout: 10,
      halfOpenMaxCalls: 1,
      successThreshold: 1,
      probeTimeout: 10,
    };
    const trial = new Trial(given, { ...given, failureThreshold: 3 });
    trial.take({ kind: 'call', as: 'failure' });
    trial.take({ kind: 'call', as: 'failure' });
    expect(() => trial.compare()).toThrow('the breaker has open, the model closed');
  });
});
