import { jest } from '@jest/globals';
import {
  CircuitBreaker,
  CircuitBreakerError,
  type Policy,
  RetryBudget,
  RetryExhaustedError,
  TimeoutError,
  bulkhead,
  fallback,
  hedge,
  pipeline,
  rateLimit,
  remainingTime,
  retry,
  timeLimit,
} from 'nestjs-bulwark/core';
import { settlePromises } from 'nestjs-bulwark/testing';
import { Lab, down, settled, thrownBy } from '../support/lab.js';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});

const after = (time: number, end: () => unknown = () => 'done'): Promise<unknown> =>
  new Promise<void>((resolve) => lab.clock.setTimeout(() => resolve(), time)).then(end);
const failing = (): never => {
  throw down;
};
const limitedTo = (limit: number): Policy => timeLimit(limit, { runtime: lab.runtime });
const retrying = (maxAttempts: number, baseDelay = 100): Policy =>
  retry({ maxAttempts, baseDelay, jitter: 0 }, { runtime: lab.runtime });
const breaker = (failureThreshold: number): CircuitBreaker =>
  new CircuitBreaker('b', { failureThreshold }, { runtime: lab.runtime });
/** Work that runs until its signal is aborted. */
const untilAborted = ({ signal }: { signal: AbortSignal }): Promise<never> =>
  new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error));
  });

describe('a pipeline', () => {
  it('R60, R62 releases the caller of uncancellable work and holds its slots, inside and outside', async () => {
    const outer = bulkhead({ name: 'outer' }, { runtime: lab.runtime });
    const inner = bulkhead({ name: 'inner' }, { runtime: lab.runtime });
    const running = settled(
      pipeline(outer, limitedTo(10), inner).execute(() => after(100, failing)),
    );
    await lab.clock.advance(10);
    expect(await running).toEqual({ error: new TimeoutError(10) });
    await lab.clock.advance(89);
    expect([outer.snapshot().inUse, inner.snapshot().inUse]).toEqual([1, 1]);
    await lab.clock.advance(1);
    expect([outer.snapshot().inUse, inner.snapshot().inUse]).toEqual([0, 0]);
  });

  it.each([
    ['inside it, whatever the work does', () => [breaker(2), limitedTo(10)], () => after(1e6)],
    ['around it, when the work heeds its signal', () => [limitedTo(10), breaker(2)], untilAborted],
  ] as const)('time-outs open a circuit with the limit %s', async (_where, parts, work) => {
    const policies = pipeline(retrying(5), ...parts());
    const error = (await lab.errorOf(policies.execute(work))) as CircuitBreakerError;
    expect(error).toBeInstanceOf(CircuitBreakerError);
    expect(error.state).toBe('open');
  });

  it('R61 a total limit ends the retries that could not end in time', async () => {
    const work = jest.fn(() => after(40, failing));
    const running = settled(pipeline(limitedTo(350), retrying(10)).execute(work));
    await lab.clock.advance(349);
    const outcome = await running;
    expect(outcome).toMatchObject({ error: { reason: 'deadline', attempts: 2, cause: down } });
    expect('error' in outcome && outcome.error).toBeInstanceOf(RetryExhaustedError);
    expect(work).toHaveBeenCalledTimes(2);
  });

  it('R61 a wait that would end at the very limit is not begun', async () => {
    const running = settled(pipeline(limitedTo(100), retrying(2, 100)).execute(failing));
    await settlePromises();
    expect(await running).toMatchObject({ error: { reason: 'deadline', attempts: 1 } });
  });

  it('R61 no attempt begins after the limit where the wait before it has ended late', async () => {
    const policy = retrying(10);
    const work = jest.fn(failing);
    const running = settled(pipeline(limitedTo(350), policy).execute(work));
    await lab.clock.advance(50);
    lab.clock.jump(400); // the thread was busy
    await lab.clock.advance(0);
    expect(await running).toMatchObject({
      error: { reason: 'deadline', attempts: 1, cause: down },
    });
    expect(work).toHaveBeenCalledTimes(1);
    expect(policy.snapshot()).toMatchObject({ calls: { deadline: 1 }, attempts: 1 });
  });

  it('R61 no retry is announced or paid for after the limit, whoever the limit has ended', async () => {
    const onRetry = jest.fn();
    const budget = new RetryBudget({ ratio: 0, minPerSecond: 1 }, { runtime: lab.runtime });
    const retries = retry({ baseDelay: 8, budget, onRetry }, { runtime: lab.runtime });
    const hedged = hedge({ delay: 3 }, { runtime: lab.runtime });
    const tries = [(): unknown => after(7, failing), (): unknown => after(3)];
    const running = settled(
      pipeline(limitedTo(5), hedged, retries).execute(({ signal }) => {
        expect(signal.aborted).toBe(false);
        return tries.shift()?.();
      }),
    );
    const before = budget.balance;
    await lab.clock.runAll();
    expect(await running).toMatchObject({ error: { code: 'TIMEOUT' } });
    expect(onRetry).not.toHaveBeenCalled();
    expect(budget.balance).toBe(before);
    expect(retries.snapshot().calls).toMatchObject({ deadline: 1, aborted: 0 });
  });

  it('R61 each attempt has what is left of the total, or its own limit where that is less', async () => {
    const left: unknown[] = [];
    const work = (): Promise<unknown> => {
      left.push(remainingTime());
      return after(1e6);
    };
    const policies = pipeline(limitedTo(300), retrying(3), limitedTo(120));
    expect(await lab.errorOf(policies.execute(work))).toEqual(new TimeoutError(300));
    expect(left).toEqual([120, 80]);
  });

  it('R60 has told the work of a time-out before anything outside learns of it', async () => {
    const signals: AbortSignal[] = [];
    const toldFirst: boolean[] = [];
    const look = (): void => void toldFirst.push(signals.at(-1)?.aborted === true);
    const breaker = new CircuitBreaker(
      'b',
      { failureThreshold: 1, onStateChange: look },
      { runtime: lab.runtime },
    );
    const retrying = retry(
      { maxAttempts: 2, baseDelay: 1, onRetry: look },
      { runtime: lab.runtime },
    );
    const answering = fallback(look, {}, { runtime: lab.runtime });
    const policies = pipeline(answering, retrying, breaker, limitedTo(10));
    const running = policies.execute(({ signal }) => {
      signals.push(signal);
      return new Promise(() => undefined);
    });
    await lab.clock.advance(50);
    await running;
    expect(toldFirst).toEqual([true, true, true]); // opened, to be retried, given up
  });

  it.each([
    ['retry', 'RetryExhaustedError'],
    ['fallback', 'TypeError'],
    ['hedge', 'CircuitBreakerError'], // that of its second try
    ['time limit', 'TypeError'],
    ['queue', 'TypeError'],
    ['waiting rate limit', 'TypeError'],
  ])(
    'R20 a %s around a time limit answers after its call has returned, and once',
    async (kind, failed) => {
      const { runtime } = lab;
      const outer: Record<string, Policy> = {
        retry: retry({ maxAttempts: 1 }, { runtime }),
        fallback: fallback(() => 'other', { on: RangeError }, { runtime }),
        hedge: hedge({ delay: 1000 }, { runtime }),
        'time limit': timeLimit(100, { runtime }),
        queue: bulkhead({ maxQueue: 1 }, { runtime }),
        'waiting rate limit': rateLimit({ limit: 9, interval: 1, maxWait: 1 }, { runtime }),
      };
      const closed = new CircuitBreaker('b', { failureThreshold: 1 }, { runtime });
      const policies = pipeline(outer[kind] as Policy, closed, limitedTo(50));
      const answers: string[] = [];
      const ask = (work: () => unknown): void => {
        policies.execute(work).then(
          (value) => answers.push(String(value)),
          (error: unknown) => answers.push((error as Error).name),
        );
        answers.push('returned');
      };
      ask(() => 'value');
      await settlePromises();
      ask(() => {
        throw new TypeError('thrown');
      });
      await settlePromises();
      ask(() => 'refused'); // the circuit is open
      await settlePromises();
      expect(answers).toEqual([
        'returned',
        'value',
        'returned',
        failed,
        'returned',
        'CircuitBreakerError',
      ]);
    },
  );

  it('R11 an open circuit in front of a time limit starts nothing', async () => {
    const isolated = breaker(1);
    isolated.isolate();
    const work = jest.fn(() => 'started');
    const running = settled(pipeline(isolated, limitedTo(10)).execute(work));
    expect(work).not.toHaveBeenCalled();
    expect(await running).toMatchObject({ error: { code: 'CIRCUIT_OPEN' } });
  });

  it('hedges inside a bulkhead hold one slot, and a bulkhead inside gives each try its own', async () => {
    const outer = bulkhead({}, { runtime: lab.runtime });
    const inner = bulkhead({}, { runtime: lab.runtime });
    const hedged = hedge({ delay: 10 }, { runtime: lab.runtime });
    void settled(pipeline(outer, hedged, inner).execute(() => after(100)));
    await lab.clock.advance(20);
    expect([outer.snapshot().inUse, inner.snapshot().inUse]).toEqual([1, 2]);
    await lab.clock.runAll();
    expect([outer.snapshot().inUse, inner.snapshot().inUse]).toEqual([0, 0]);
  });

  it('a rejection by a rate limit is an error that a fallback covers and a retry does not repeat', async () => {
    const limiter = rateLimit({ limit: 1, interval: 1000 }, { runtime: lab.runtime });
    const policies = pipeline(
      fallback(() => 'spare'),
      retrying(3),
      limiter,
    );
    expect(await lab.resultOf(policies.execute(() => 'real'))).toBe('real');
    expect(await lab.resultOf(policies.execute(() => 'real'))).toBe('spare');
    expect(limiter.snapshot().calls).toEqual({ permitted: 1, waited: 0, rejected: 1 });
  });

  it('R81 describes its parts in their order, those of pipelines inside it too', () => {
    const policies = pipeline(
      fallback(() => 'spare'),
      pipeline(limitedTo(1000), retrying(3)),
      pipeline(breaker(5)),
      rateLimit({ limit: 1, interval: 1 }),
      bulkhead(),
      hedge({ delay: 5 }),
    );
    expect(policies.describe().map(({ kind, name }) => `${kind}:${name}`)).toEqual([
      'fallback:fallback',
      'timeLimit:timeLimit',
      'retry:retry',
      'circuitBreaker:b',
      'rateLimit:rateLimit',
      'bulkhead:bulkhead',
      'hedge:hedge',
    ]);
    expect(policies.snapshot().policies).toHaveLength(6);
  });

  it.each([
    [[], 'must have at least one policy'],
    [[5], '[0] must be a policy, got 5'],
    [[bulkhead(), {}], '[1] must be a policy'],
  ])('refuses to be made of %j', (parts, problem) => {
    expect(thrownBy(() => pipeline(...(parts as Policy[])))).toMatchObject({
      code: 'INVALID_CONFIG',
      issues: [expect.stringContaining(problem)],
    });
  });
});
