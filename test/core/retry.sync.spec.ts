import { jest } from '@jest/globals';
import {
  CircuitBreaker,
  CircuitBreakerError,
  RetryBudget,
  RetryExhaustedError,
  type RetryOptions,
  SyncRetryPolicy,
  bulkhead,
  pipeline,
  retrySync,
  timeLimit,
} from 'nestjs-bulwark/core';
import { beginCall } from '../../lib/core/context.js';
import { Lab, down, settled, thrownBy } from '../support/lab.js';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});

/** Synchronous work that fails where the script says `f`; notes when it was called. */
function scripted(script: string): (() => string) & { calledAt: number[] } {
  const calledAt: number[] = [];
  const work = (): string => {
    const step = script[Math.min(calledAt.length, script.length - 1)] as string;
    calledAt.push(lab.clock.now());
    if (step === 'f') throw down;
    return step;
  };
  return Object.assign(work, { calledAt });
}

const retrying = (options?: RetryOptions): SyncRetryPolicy =>
  new SyncRetryPolicy(options, { runtime: lab.runtime });

describe('retrySync', () => {
  it.each([
    ['s', [0]],
    ['fs', [0, 100]],
    ['ffs', [0, 100, 300]],
  ])('with the script "%s" blocks between its attempts', (script, calledAt) => {
    const work = scripted(script);
    expect(retrySync({}, { runtime: lab.runtime })(work)()).toBe('s');
    expect(work.calledAt).toEqual(calledAt);
  });

  it('begins no attempt after the deadline around it where it has blocked for longer', async () => {
    const work = scripted('f');
    const sleepSync = jest.spyOn(lab.clock, 'sleepSync').mockImplementation((delay) => {
      lab.clock.jump(delay + 500);
    });
    const outer = timeLimit(300, { runtime: lab.runtime }).execute(() =>
      retrySync({}, { runtime: lab.runtime })(work)(),
    );
    expect(await settled(outer)).toMatchObject({ error: { reason: 'deadline', attempts: 1 } });
    expect([work.calledAt.length, sleepSync.mock.calls.length]).toEqual([1, 1]);
  });

  it('really blocks the thread', () => {
    const started = performance.now();
    let attempts = 0;
    const work = retrySync({ baseDelay: 5, jitter: 0 })(() => {
      if (++attempts < 3) throw down;
      return attempts;
    });
    expect(work()).toBe(3);
    expect(performance.now() - started).toBeGreaterThanOrEqual(14);
  });

  it('R3 throws RetryExhaustedError when the attempts run out', () => {
    const error = thrownBy(retrySync({}, { runtime: lab.runtime })(scripted('f')));
    expect(error).toBeInstanceOf(RetryExhaustedError);
    expect(error).toMatchObject({ attempts: 3, lastException: down, cause: down });
  });

  it('R3 returns the last unwanted value', () => {
    const policy = retrying({ retryOnResult: () => true });
    expect(policy.wrapSync(scripted('abc'))()).toBe('c');
    expect(policy.snapshot()).toMatchObject({ calls: { attempts: 1 }, attempts: 3 });
  });

  it.each([
    [1, 'a'],
    [3, 'b'],
  ])(
    'R3 with maxAttempts %d and the values a, b, c, of which a is unwanted, gives %s',
    (maxAttempts, value) => {
      const policy = retrying({ maxAttempts, retryOnResult: (result) => result === 'a' });
      expect(policy.wrapSync(scripted('abc'))()).toBe(value);
    },
  );

  it('a value that is wanted is the end', () => {
    const work = scripted('a');
    expect(retrying({ retryOnResult: () => false }).wrapSync(work)()).toBe('a');
    expect(work.calledAt).toEqual([0]);
  });

  it('R2 rethrows as it is what is not retryable', () => {
    const work = scripted('f');
    expect(thrownBy(retrying({ retryOn: TypeError }).wrapSync(work))).toBe(down);
    expect(work.calledAt).toEqual([0]);
  });

  it('keeps this, name and length', () => {
    const original = function fetchConfig(this: { base: number }, a: number, b: number): number {
      return this.base + a + b;
    };
    const wrapped = retrySync()(original);
    expect([wrapped.name, wrapped.length]).toEqual(['fetchConfig', 2]);
    expect(wrapped.call({ base: 1 }, 2, 3)).toBe(6);
  });

  it('keeps to maxDuration and to its budget', () => {
    const budget = new RetryBudget({ ratio: 0, minPerSecond: 0.1 }, { runtime: lab.runtime });
    const spent = retrying({ maxAttempts: 9, budget }).wrapSync(scripted('f'));
    expect(thrownBy(spent)).toMatchObject({ reason: 'budget', attempts: 2 });
    const hurried = retrying({ maxAttempts: 9, maxDuration: 300 }).wrapSync(scripted('f'));
    expect(thrownBy(hurried)).toMatchObject({ reason: 'duration', attempts: 3 });
  });

  it.each(['', 'f', 'ff'])('refuses a promise, also after the failures "%s"', (failures) => {
    let attempts = 0;
    const policy = retrying();
    const work = policy.wrapSync(() => {
      if (attempts++ < failures.length) throw down;
      return Promise.reject(new Error('too late'));
    });
    const error = thrownBy(work);
    expect(error).toBeInstanceOf(TypeError);
    expect(error).toMatchObject({ message: expect.stringContaining('withRetry()') });
    expect(attempts).toBe(failures.length + 1);
    expect(policy.snapshot().calls.not_retryable).toBe(1);
  });

  it('lets an open circuit inside it throw rather than reject', () => {
    const breaker = new CircuitBreaker('b', { failureThreshold: 2 }, { runtime: lab.runtime });
    const work = scripted('f');
    const both = pipeline(retrying({ maxAttempts: 5 }), breaker);
    const error = thrownBy(() => both.compiled().runSync(work, undefined, [], beginCall()));
    expect(error).toBeInstanceOf(CircuitBreakerError);
    expect(work.calledAt).toHaveLength(2);
  });

  it('ends with an open circuit inside it also where the caller gets a promise', async () => {
    const breaker = new CircuitBreaker('b', { failureThreshold: 2 }, { runtime: lab.runtime });
    const both = pipeline(retrying({ maxAttempts: 5 }), breaker);
    await expect(both.execute(scripted('f'))).rejects.toBeInstanceOf(CircuitBreakerError);
  });

  it('gives its value as it is to a bulkhead around it', () => {
    const both = pipeline(bulkhead(), retrying());
    expect(both.compiled().runSync(scripted('fs'), undefined, [], beginCall())).toBe('s');
  });

  it('refuses the promise that a time limit inside it gives', async () => {
    const both = pipeline(retrying(), timeLimit(100, { runtime: lab.runtime }));
    await expect(both.execute(scripted('s'))).rejects.toBeInstanceOf(TypeError);
  });

  it('R82 counts like the asynchronous one', () => {
    const policy = retrying({ jitter: 0 });
    policy.wrapSync(scripted('s'))();
    policy.wrapSync(scripted('fs'))();
    thrownBy(policy.wrapSync(scripted('f')));
    expect(policy.snapshot()).toMatchObject({
      calls: { first_try: 1, recovered: 1, attempts: 1 },
      attempts: 6,
      waited: 400,
    });
  });
});
