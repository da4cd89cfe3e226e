/** A call that passes one breaker twice: a method that calls another of its class, a route over a service. */
import {
  CircuitBreaker,
  type CircuitBreakerOptions,
  KeyedCircuitBreakers,
  bulkhead,
  hedge,
  pipeline,
  retry,
  timeLimit,
  type Policy,
} from 'nestjs-bulwark/core';
import { Lab, deferred, down, settled } from '../support/lab.js';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});

const OPTIONS = {
  failureThreshold: 1,
  recoveryTimeout: 1000,
  halfOpenMaxCalls: 1,
  successThreshold: 1,
} as const;

const breakerWith = (options: CircuitBreakerOptions = {}): CircuitBreaker =>
  new CircuitBreaker('bank', { ...OPTIONS, ...options }, lab);

/** Opens it, and lets its recovery time go by. */
async function recovering(breaker: CircuitBreaker): Promise<CircuitBreaker> {
  await settled(breaker.execute(() => Promise.reject(down)));
  lab.clock.jump(1000);
  return breaker;
}

/** Passes the breaker `levels` times, one inside the other. */
const nested = (policy: Policy, levels: number, work: () => unknown = () => 'fine') =>
  policy.execute(async (): Promise<unknown> => {
    await Promise.resolve();
    return levels === 1 ? work() : nested(policy, levels - 1, work);
  });

describe('R13: a call inside a probe of the same breaker is a part of that probe', () => {
  it.each([1, 2, 5])('which closes the circuit, %d levels deep', async (levels) => {
    const breaker = await recovering(breakerWith());
    expect(await settled(nested(breaker, levels))).toEqual({ value: 'fine' });
    expect(breaker.state).toBe('closed');
    expect(breaker.stats).toMatchObject({ ignoredCalls: 0, rejectedCalls: 0, inFlight: 0 });
    expect(breaker.stats.successfulCalls).toBe(levels);
  });

  it('which opens it again', async () => {
    const breaker = await recovering(breakerWith());
    const failing = nested(breaker, 3, () => Promise.reject(down));
    expect(await settled(failing)).toEqual({ error: down });
    expect(breaker.state).toBe('open');
  });

  it('and decides nothing: what the probe makes of it does', async () => {
    const breaker = await recovering(breakerWith());
    const caught = breaker.execute(async () => {
      await breaker.execute(() => Promise.reject(down)).catch(() => undefined);
      return 'instead';
    });
    expect(await caught).toBe('instead');
    expect(breaker.state).toBe('closed');
  });

  it('and takes no place from others: those are rejected still', async () => {
    const breaker = await recovering(breakerWith());
    const pause = deferred();
    const probe = nested(breaker, 2, () => pause.promise);
    expect(await settled(breaker.execute(() => 'another'))).toMatchObject({
      error: { code: 'CIRCUIT_OPEN', state: 'half_open' },
    });
    pause.resolve('fine');
    expect(await probe).toBe('fine');
    expect(breaker.state).toBe('closed');
  });

  it('not once the probe has ended: what it has left running is a call like any other', async () => {
    const breaker = await recovering(breakerWith({ successThreshold: 3 }));
    const later = deferred();
    let left: Promise<unknown> | undefined;
    await breaker.execute(() => {
      left = later.promise.then(() => breaker.execute(() => 'later'));
    });
    void breaker.execute(() => new Promise(() => undefined));
    later.resolve(undefined);
    expect(await settled(left as Promise<unknown>)).toMatchObject({
      error: { state: 'half_open' },
    });
  });

  it('not once its permit has expired', async () => {
    const breaker = await recovering(breakerWith({ probeTimeout: 500 }));
    const pause = deferred();
    const slow = breaker.execute(() => pause.promise.then(() => breaker.execute(() => 'late')));
    lab.clock.jump(500);
    const second = breaker.execute(() => new Promise(() => undefined));
    pause.resolve(undefined);
    expect(await settled(slow)).toMatchObject({ error: { state: 'half_open' } });
    void second;
  });

  it.each<[string, (breaker: CircuitBreaker) => Policy]>([
    ['around a retry', (breaker) => pipeline(breaker, retry({}, lab))],
    ['around a time limit', (breaker) => pipeline(breaker, timeLimit('1s', lab))],
    ['inside a time limit', (breaker) => pipeline(timeLimit('1s', lab), breaker)],
    ['between gates', (breaker) => pipeline(bulkhead({}, lab), breaker, bulkhead({}, lab))],
    ['inside a hedge', (breaker) => pipeline(hedge({ delay: '1s' }, lab), breaker)],
    ['twice in a row', (breaker) => pipeline(breaker, breaker)],
    ['twice, around a retry', (breaker) => pipeline(breaker, retry({}, lab), breaker)],
  ])('where it stands %s', async (_where, around) => {
    const breaker = await recovering(breakerWith());
    expect(await settled(nested(around(breaker), 2))).toEqual({ value: 'fine' });
    expect(breaker.state).toBe('closed');
  });

  it('also inside a probe of another breaker', async () => {
    const [one, other] = [await recovering(breakerWith()), await recovering(breakerWith())];
    lab.clock.jump(1000);
    const call = one.execute(() => other.execute(() => one.execute(() => other.execute(() => 1))));
    expect(await settled(call)).toEqual({ value: 1 });
    expect([one.state, other.state]).toEqual(['closed', 'closed']);
  });

  it('for a key of a family, and not for another key', async () => {
    const family = new KeyedCircuitBreakers('banks', OPTIONS, lab);
    const call = family
      .by((key) => key as string)
      .wrap((_key: string, work: () => unknown) => work());
    for (const key of ['a', 'b'])
      await settled(family.for(key).execute(() => Promise.reject(down)));
    lab.clock.jump(1000);
    const inA = async (): Promise<unknown> =>
      call('a', () => call('a', async () => call('b', () => 1)));
    expect(await settled(inA())).toEqual({ value: 1 });
    expect([family.for('a').state, family.for('b').state]).toEqual(['closed', 'closed']);
  });

  it('for a permit that is asked for, and for a synchronous call', async () => {
    const breaker = await recovering(breakerWith());
    await breaker.execute(() => {
      expect(breaker.executeSync(() => 'fine')).toBe('fine');
      breaker.tryAcquire()?.success();
    });
    expect(breaker.state).toBe('closed');
  });
});
