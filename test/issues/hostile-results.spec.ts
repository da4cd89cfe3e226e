/** What work returns may throw when it is looked at: nothing is held for it then. */
import {
  CircuitBreaker,
  adaptiveLimit,
  bulkhead,
  currentAttempt,
  hedge,
  pipeline,
  retry,
  timeLimit,
} from 'nestjs-bulwark/core';
import { Lab, settled } from '../support/lab.js';

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable({}, {});
  revoke();
  return proxy;
}
function untouchable(): object {
  const throws = (): never => {
    throw new Error('hands off');
  };
  return new Proxy({}, { get: throws, has: throws, getPrototypeOf: throws });
}

describe.each([
  ['a revoked proxy', revoked],
  ['a proxy that throws whatever is asked', untouchable],
])('work that returns %s', (_what, work) => {
  const { runtime } = new Lab();

  it.each([
    ['a bulkhead', () => bulkhead({ maxConcurrent: 1 }, { runtime })],
    ['a bulkhead with a queue', () => bulkhead({ maxConcurrent: 1, maxQueue: 1 }, { runtime })],
    ['an adaptive limit', () => adaptiveLimit({}, { runtime })],
  ])('leaves no slot of %s taken', async (_policy, make) => {
    const policy = make();
    await settled(policy.execute(work));
    await settled(Promise.resolve().then(() => policy.wrap(work)()));
    expect(policy.snapshot().inUse).toBe(0);
  });

  it('leaves no call of a circuit breaker in flight', async () => {
    const breaker = new CircuitBreaker('b', {}, { runtime });
    await settled(breaker.execute(work));
    expect(breaker.stats).toMatchObject({ totalCalls: 1, inFlight: 0 });
  });

  it('is one call of a retry, with an end', async () => {
    const policy = retry({ maxAttempts: 1 }, { runtime });
    await settled(policy.execute(work));
    const { calls } = policy.snapshot();
    expect(Object.values(calls).reduce((sum, each) => sum + each)).toBe(1);
  });

  it('ends in time under a time limit and a hedge', async () => {
    const limit = timeLimit(1000, { runtime });
    await settled(pipeline(limit, hedge({ delay: 10 }, { runtime })).execute(work));
    expect(limit.snapshot()).toMatchObject({ abandoned: 0, calls: { in_time: 1 } });
  });

  it('leaves no call behind in which code outside any would be', async () => {
    await settled(new CircuitBreaker('b', {}, { runtime }).execute(work));
    expect(currentAttempt()).toBeUndefined();
  });
});

it('no such object is a policy', () => {
  expect(() => pipeline(untouchable() as never)).toThrow('must be a policy');
});
