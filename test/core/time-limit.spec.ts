import { AsyncLocalStorage } from 'node:async_hooks';
import { getEventListeners } from 'node:events';
import { jest } from '@jest/globals';
import {
  type Clock,
  type Timer,
  AbortError,
  type CallContext,
  EventHub,
  Lifetime,
  type TimeLimitPolicy,
  TimeoutError,
  currentSignal,
  pipeline,
  remainingTime,
  timeLimit,
} from 'nestjs-bulwark/core';
import { settlePromises } from 'nestjs-bulwark/testing';
import { Lab, deferred, down, settled, thrownBy } from '../support/lab.js';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});

const limited = (limit: number | string = 100): TimeLimitPolicy =>
  timeLimit(limit, { runtime: lab.runtime });
const hang = (): Promise<never> => new Promise(() => undefined);

/** Work that takes `time` ms on the lab's clock and heeds no signal. */
function lasting(time: number, end: () => unknown = () => 'done'): () => Promise<unknown> {
  return () =>
    new Promise((resolve) => lab.clock.setTimeout(() => resolve(undefined), time)).then(end);
}
const failing = (): never => {
  throw down;
};

describe('R33 after shutdown the timer of a time limit', () => {
  it('answers calls that are under way, and keeps no process alive for them', async () => {
    const lifetime = new Lifetime();
    const policy = timeLimit(10, { runtime: { ...lab.runtime, lifetime } });
    const hung = settled(policy.execute(hang));
    lifetime.end();
    expect(lab.clock.pendingTimers).toBe(0);
    await lab.clock.advance(10);
    expect(await hung).toEqual({ error: new TimeoutError(10) });
  });

  it('answers calls that come later, and keeps no process alive for them', async () => {
    const lifetime = new Lifetime();
    lifetime.end();
    const policy = timeLimit(10, { runtime: { ...lab.runtime, lifetime } });
    const hung = settled(policy.execute(hang));
    expect(lab.clock.pendingTimers).toBe(0);
    expect(await settled(policy.execute(() => 'fine'))).toEqual({ value: 'fine' });
    await lab.clock.advance(10);
    expect(await hung).toEqual({ error: new TimeoutError(10) });
  });
});

describe('R60 a time limit', () => {
  it.each([
    ['before the limit', lasting(99), { value: 'done' }],
    ['before it, failing', lasting(99, failing), { error: down }],
    ['after it', lasting(101), { error: new TimeoutError(100) }],
    ['after it, failing', lasting(101, failing), { error: new TimeoutError(100) }],
    ['never', hang, { error: new TimeoutError(100) }],
    ['at once, with a plain value', () => 'plain', { value: 'plain' }],
    ['at once, by throwing', failing, { error: down }],
    [
      'as a foreign thenable',
      () => ({ then: (ok: (v: string) => void) => ok('then') }),
      { value: 'then' },
    ],
  ])('answers work that settles %s', async (_when, work, outcome) => {
    expect(await lab.outcomeOf(limited().execute(work))).toEqual(outcome);
  });

  it('releases the caller at that very instant, with its own error', async () => {
    const running = settled(limited('1s').execute(hang));
    await lab.clock.advance(999);
    const early = await Promise.race([running, Promise.resolve('waiting')]);
    await lab.clock.advance(1);
    expect(early).toBe('waiting');
    expect(await running).toMatchObject({ error: { name: 'TimeoutError', timeout: 1000 } });
  });

  it('aborts the signal of the work with the error that the caller gets', async () => {
    let signal: AbortSignal | undefined;
    const error = await lab.errorOf(
      limited().execute((call) => {
        signal = call.signal;
        return hang();
      }),
    );
    expect(signal?.aborted).toBe(true);
    expect(signal?.reason).toBe(error);
  });

  it.each([
    ['success', () => 'done', { in_time: 1, timed_out: 0, would_time_out: 0 }],
    ['failure', failing, { in_time: 1, timed_out: 0, would_time_out: 0 }],
  ])('never aborts the signal after a %s', async (_ending, end, calls) => {
    let signal: AbortSignal | undefined;
    const policy = limited();
    await lab.outcomeOf(
      policy.execute((call) => {
        signal = call.signal;
        return lasting(50, end)();
      }),
    );
    await lab.clock.advance(1000);
    expect(signal?.aborted).toBe(false);
    expect(policy.snapshot().calls).toEqual(calls);
  });

  it('R82 swallows what comes late, and counts it', async () => {
    const policy = limited();
    for (const end of [() => 'late', failing, failing])
      void settled(policy.execute(lasting(150, end)));
    void settled(policy.execute(hang));
    await lab.clock.advance(100);
    expect(policy.snapshot()).toMatchObject({ calls: { timed_out: 4 }, abandoned: 4 });
    await lab.clock.advance(50);
    expect(policy.snapshot()).toMatchObject({ late: { successes: 1, failures: 2 }, abandoned: 1 });
  });

  it('leaves it to the signal alone when the caller aborts: the work ends the call', async () => {
    const caller = new AbortController();
    const work = deferred<string>();
    let signal: AbortSignal | undefined;
    const policy = limited();
    const running = settled(
      policy.execute(
        (call) => {
          signal = call.signal;
          return work.promise;
        },
        { signal: caller.signal },
      ),
    );
    caller.abort(down);
    expect(await running).toEqual({ error: down });
    expect(signal?.reason).toBe(down);
    expect(policy.snapshot().calls).toEqual({ in_time: 0, timed_out: 0, would_time_out: 0 });
    work.resolve('late');
    await settlePromises();
    expect(policy.snapshot().calls).toEqual({ in_time: 1, timed_out: 0, would_time_out: 0 });
    expect(getEventListeners(caller.signal, 'abort')).toEqual([]);
  });

  it('times out a hundred calls in the order in which they came, each at its own instant', async () => {
    const policy = limited();
    const ended: [number, number][] = [];
    for (let call = 0; call < 100; call++) {
      policy.execute(hang).catch(() => ended.push([call, lab.clock.now()]));
      await lab.clock.advance(1);
    }
    await lab.clock.advance(100);
    expect(ended).toEqual(Array.from({ length: 100 }, (_, call) => [call, call + 100]));
  });
});

describe('R61 nested time limits', () => {
  it.each([
    [50, 200, 50],
    [200, 50, 50],
  ])('of %d and, inside, %d end at %d', async (outer, inner, nearest) => {
    const both = pipeline(limited(outer), limited(inner));
    expect(await lab.errorOf(both.execute(hang))).toEqual(new TimeoutError(nearest));
  });

  it.each([
    [50, 200],
    [200, 50],
  ])('of %d and %d tell the nearest deadline', async (outer, inner) => {
    const left = await lab.resultOf(
      limited(outer).execute(() => limited(inner).execute(async () => remainingTime())),
    );
    expect(left).toBe(50);
  });

  it('abort the signal of the innermost work when the outer one runs out', async () => {
    let seen: CallContext | undefined;
    const both = pipeline(limited(50), limited(200));
    const error = await lab.errorOf(both.execute((call) => ((seen = call), hang())));
    expect(seen?.signal.reason).toBe(error);
  });
});

describe('the timer of a time limit', () => {
  it('is one for all calls, and keeps the process alive only while somebody waits', async () => {
    const policy = limited();
    const running = Array.from({ length: 1000 }, () => policy.execute(lasting(50)));
    expect(lab.clock.pendingTimers).toBe(1000 + 1);
    await lab.clock.advance(50);
    await Promise.all(running);
    expect(lab.clock.pendingTimers).toBe(0);
    void settled(policy.execute(hang));
    expect(lab.clock.pendingTimers).toBe(1);
    await lab.clock.advance(100);
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('is set once for calls that follow each other', async () => {
    const set = jest.spyOn(lab.clock, 'setTimeout');
    const policy = limited();
    for (let call = 0; call < 100; call++) await policy.execute(() => 'done');
    expect(set).toHaveBeenCalledTimes(1);
  });

  it('may be one that can neither let the process end nor keep it', async () => {
    const set: (() => void)[] = [];
    const clock: Clock = {
      now: () => 0,
      wallTime: () => 0,
      sleepSync: () => undefined,
      setTimeout: (callback) => ({ number: set.push(callback) }) as Timer,
      clearTimeout: () => undefined,
    };
    const policy = timeLimit(100, { runtime: { clock } });
    for (let call = 0; call < 2; call++) expect(await policy.execute(() => 'done')).toBe('done');
    expect(set).toHaveLength(1);
  });

  it('is one for calls that came at different times', async () => {
    const policy = limited();
    void settled(policy.execute(hang));
    await lab.clock.advance(50);
    void settled(policy.execute(hang));
    expect(lab.clock.pendingTimers).toBe(1);
  });

  it('is one also where a listener to a time-out calls again', async () => {
    const events = new EventHub(() => 0, lab.logger);
    const policy = timeLimit(100, { runtime: { ...lab.runtime, events } });
    const leave = events.listen(() => void settled(policy.execute(hang)));
    void settled(policy.execute(hang));
    await lab.clock.advance(100);
    expect(lab.clock.pendingTimers).toBe(1);
    leave();
  });

  it('does not carry the context of one call into another', async () => {
    const requests = new AsyncLocalStorage<string>();
    const policy = limited();
    const seen: unknown[] = [];
    for (const id of ['first', 'second']) {
      void requests.run(id, () =>
        settled(
          policy.execute(({ signal }) => {
            signal.addEventListener('abort', () => seen.push(requests.getStore()));
            return hang();
          }),
        ),
      );
      await lab.clock.advance(10);
    }
    await lab.clock.advance(100);
    expect(seen).toEqual([undefined, undefined]);
  });

  it('works on under fake timers that were switched on after its first call', async () => {
    const policy = timeLimit(60_000);
    await policy.execute(() => 'real time');
    jest.useFakeTimers();
    try {
      const running = settled(policy.execute(hang));
      await jest.advanceTimersByTimeAsync(60_000);
      expect(await running).toEqual({ error: new TimeoutError(60_000) });
    } finally {
      jest.useRealTimers();
    }
  });
});

describe('a time limit as a policy', () => {
  it('keeps `this` and the arguments, and gives the work its signal', async () => {
    const service = {
      base: 40,
      add: limited().wrap(async function (this: { base: number }, more: number) {
        return [this.base + more, currentSignal()?.aborted];
      }),
    };
    expect(await lab.resultOf(service.add(2))).toEqual([42, false]);
  });

  it('R81 has an id, a description and a snapshot', () => {
    const policy = timeLimit({ limit: '2s' }, { name: 'total' });
    expect(policy.id).toBe('timeLimit:total');
    expect(policy.describe()).toEqual([
      { kind: 'timeLimit', name: 'total', options: { limit: 2000, mode: 'enforce' } },
    ]);
    expect(timeLimit(5).snapshot()).toEqual({
      id: 'timeLimit:timeLimit',
      kind: 'timeLimit',
      name: 'timeLimit',
      options: { limit: 5, mode: 'enforce' },
      calls: { in_time: 0, timed_out: 0, would_time_out: 0 },
      late: { successes: 0, failures: 0 },
      abandoned: 0,
    });
  });

  it.each([
    [0, ['limit']],
    [-1, ['limit']],
    [NaN, ['limit']],
    ['soon', ['limit']],
    [2 ** 31, ['limit']],
    [{}, ['limit']],
    [null, ['object', 'limit']],
    [{ limit: 1, limits: 2 }, ['limits is not a known option; did you mean "limit"']],
  ])('refuses %j', (limit, problems) => {
    expect(thrownBy(() => timeLimit(limit as never))).toMatchObject({
      code: 'INVALID_CONFIG',
      issues: problems.map((each) => expect.stringContaining(each) as unknown),
    });
  });

  it('is an abort to nobody: a time-out is no AbortError', async () => {
    expect(await lab.errorOf(limited().execute(hang))).not.toBeInstanceOf(AbortError);
  });
});
