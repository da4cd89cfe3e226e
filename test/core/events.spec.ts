import {
  EventHub,
  CircuitBreaker,
  KeyedCircuitBreakers,
  type Policy,
  type ResilienceEvent,
  type RuntimeOptions,
  adaptiveLimit,
  bulkhead,
  clientThrottle,
  fallback,
  hedge,
  rateLimit,
  retry,
  timeLimit,
} from 'nestjs-bulwark/core';
import { settlePromises } from 'nestjs-bulwark/testing';
import { Lab, coded, down, settled } from '../support/lab.js';

const worse = new Error('worse');
let lab: Lab;
let hub: EventHub;
let runtime: RuntimeOptions;
beforeEach(() => {
  lab = new Lab();
  hub = new EventHub(() => lab.clock.wallTime(), lab.logger);
  runtime = { ...lab.runtime, events: hub };
});

/** What the hub tells while `happen` goes on, less ids and times. */
async function heard(happen: () => unknown): Promise<object[]> {
  const seen: object[] = [];
  const leave = hub.listen((event) => {
    const told = Object.entries(event).filter(([key]) => key !== 'id' && key !== 'at');
    seen.push(Object.fromEntries(told));
  });
  await happen();
  leave();
  return seen;
}

const fail = (): Promise<never> => Promise.reject(down);
const hang = (): Promise<never> => new Promise(() => undefined);
const call = (policy: Policy, work: () => unknown = fail): Promise<unknown> =>
  lab.outcomeOf(settled(policy.execute(work)));

describe('a policy tells', () => {
  it('what a circuit breaker does, in each of its states', async () => {
    const breaker = new CircuitBreaker(
      'db',
      { failureThreshold: 1, successThreshold: 1 },
      { runtime },
    );
    const about = { policy: 'breaker:db', name: 'db' };
    const opening = {
      rule: 'consecutive_failures',
      figures: { failures: 1, failureThreshold: 1 },
      topFailures: [{ name: 'Error', count: 1 }],
    };
    const seen = await heard(async () => {
      await call(breaker);
      await call(breaker);
      lab.clock.jump(30_000);
      await call(breaker, () => 'fine');
      const isolation = breaker.isolate();
      await call(breaker);
      isolation.release();
      breaker.disable().release();
    });
    expect(seen).toEqual([
      { type: 'breaker.opened', ...about, from: 'closed', error: down, opening },
      { type: 'breaker.rejected', ...about, state: 'open' },
      { type: 'breaker.half-opened', ...about, from: 'open' },
      { type: 'breaker.closed', ...about, from: 'half_open' },
      { type: 'breaker.isolated', ...about, from: 'closed' },
      { type: 'breaker.rejected', ...about, state: 'isolated' },
      { type: 'breaker.closed', ...about, from: 'isolated' },
      { type: 'breaker.disabled', ...about, from: 'closed' },
      { type: 'breaker.closed', ...about, from: 'disabled' },
    ]);
  });

  it('what a breaker in shadow mode would do', async () => {
    const breaker = new CircuitBreaker('db', { failureThreshold: 1, mode: 'shadow' }, { runtime });
    await call(breaker);
    expect(await heard(() => call(breaker))).toEqual([
      { type: 'breaker.spared', policy: 'breaker:db', name: 'db', state: 'open' },
    ]);
  });

  it('of one key under the id of its family', async () => {
    const family = new KeyedCircuitBreakers('tenants', { failureThreshold: 1 }, { runtime });
    const seen = await heard(() => call(family.for('acme')));
    expect(seen).toMatchObject([
      { type: 'breaker.opened', policy: 'breaker:tenants[*]', name: 'tenants[acme]' },
    ]);
  });

  it('what a retry does', async () => {
    const policy = retry({ maxAttempts: 2, jitter: 0 }, { name: 'api', runtime });
    const about = { policy: 'retry:api', name: 'api' };
    let failures = 1;
    const recover = (): string => {
      if (failures-- > 0) throw down;
      return 'fine';
    };
    const seen = await heard(async () => {
      await call(policy);
      await call(policy, recover);
      await call(policy, () => 'fine');
    });
    expect(seen).toEqual([
      { type: 'retry.scheduled', ...about, attempt: 1, error: down, delay: 100 },
      { type: 'retry.exhausted', ...about, attempts: 2, error: down, reason: 'attempts' },
      { type: 'retry.scheduled', ...about, attempt: 1, error: down, delay: 100 },
      { type: 'retry.recovered', ...about, attempts: 2 },
    ]);
  });

  it.each<[string, () => Policy, () => unknown, object]>([
    [
      'that a time limit is exceeded',
      () => timeLimit(5, { name: 'x', runtime }),
      hang,
      { type: 'time-limit.exceeded', policy: 'timeLimit:x', limit: 5 },
    ],
    [
      'that a time limit would be exceeded',
      () => timeLimit({ limit: 5, mode: 'shadow' }, { name: 'x', runtime }),
      () => new Promise((resolve) => lab.clock.setTimeout(() => resolve('late'), 9)),
      { type: 'time-limit.spared', policy: 'timeLimit:x', limit: 5 },
    ],
    [
      'that a bulkhead is full',
      () => full(bulkhead({ maxConcurrent: 1 }, { name: 'x', runtime })),
      fail,
      { type: 'bulkhead.rejected', policy: 'bulkhead:x', reason: 'full' },
    ],
    [
      'that a bulkhead would be full',
      () => full(bulkhead({ maxConcurrent: 1, mode: 'shadow' }, { name: 'x', runtime })),
      fail,
      { type: 'bulkhead.spared', policy: 'bulkhead:x', reason: 'full' },
    ],
    [
      'that a wait in a bulkhead was too long',
      () =>
        full(bulkhead({ maxConcurrent: 1, maxQueue: 1, queueTimeout: 5 }, { name: 'x', runtime })),
      fail,
      { type: 'bulkhead.rejected', policy: 'bulkhead:x', reason: 'queue_timeout' },
    ],
    [
      'that a rate limit is reached',
      () => full(rateLimit({ limit: 1, interval: 40 }, { name: 'x', runtime })),
      fail,
      { type: 'rate-limit.rejected', policy: 'rateLimit:x', retryAfter: 40 },
    ],
    [
      'that a rate limit would be reached',
      () => full(rateLimit({ limit: 1, interval: 40, mode: 'shadow' }, { name: 'x', runtime })),
      fail,
      { type: 'rate-limit.spared', policy: 'rateLimit:x', retryAfter: 40 },
    ],
    [
      'that an adaptive limit is reached',
      () => full(adaptiveLimit({ initialLimit: 1, maxLimit: 1 }, { name: 'x', runtime })),
      fail,
      { type: 'adaptive-limit.rejected', policy: 'adaptiveLimit:x', limit: 1 },
    ],
    [
      'that a fallback has served',
      () => fallback(() => 'cached', {}, { name: 'x', runtime }),
      fail,
      { type: 'fallback.served', policy: 'fallback:x', error: down },
    ],
    [
      'that a fallback has failed too',
      () => fallback(() => Promise.reject(worse), {}, { name: 'x', runtime }),
      fail,
      { type: 'fallback.failed', policy: 'fallback:x', error: worse, cause: down },
    ],
  ])('%s', async (_what, make, work, event) => {
    const policy = make();
    expect(await heard(() => call(policy, work))).toEqual([{ name: 'x', ...event }]);
  });

  it('which calls a client throttle holds back', async () => {
    const policy = clientThrottle({ minimumCalls: 1, multiplier: 1 }, { name: 'x', runtime });
    await call(policy, () => Promise.reject(coded('ETIMEDOUT')));
    lab.random = 0;
    expect(await heard(() => call(policy))).toEqual([
      { type: 'throttle.rejected', policy: 'clientThrottle:x', name: 'x', rejectionRate: 0.5 },
    ]);
  });

  it('which hedges are started, and which of them win', async () => {
    const policy = hedge({ delay: 10, maxHedges: 2 }, { name: 'x', runtime });
    const about = { policy: 'hedge:x', name: 'x' };
    let tries = 0;
    const third = (): unknown => (++tries === 3 ? 'fine' : hang());
    expect(await heard(() => call(policy, third))).toEqual([
      { type: 'hedge.started', ...about, hedge: 1 },
      { type: 'hedge.started', ...about, hedge: 2 },
      { type: 'hedge.won', ...about, hedge: 2 },
    ]);
    expect(await heard(() => call(policy, () => 'at once'))).toEqual([]);
  });
});

/** With a call in it that takes all there is. */
function full(policy: Policy): Policy {
  void policy.execute(hang);
  return policy;
}

describe('where nobody listens', () => {
  it.each<[string, () => Policy]>([
    ['a breaker', () => new CircuitBreaker('x', { failureThreshold: 1 }, { runtime })],
    ['a retry', () => retry({ maxAttempts: 2 }, { runtime })],
    ['a time limit', () => timeLimit(5, { runtime })],
    ['a bulkhead', () => full(bulkhead({ maxConcurrent: 1 }, { runtime }))],
    ['a rate limit', () => full(rateLimit({ limit: 1, interval: 1000 }, { runtime }))],
    ['an adaptive limit', () => full(adaptiveLimit({ initialLimit: 1, maxLimit: 1 }, { runtime }))],
    ['a fallback', () => fallback(() => 'cached', {}, { runtime })],
    ['a fallback that fails', () => fallback(fail, {}, { runtime })],
    ['a hedge', () => hedge({ delay: 1 }, { runtime })],
  ])('%s makes no event', async (_what, make) => {
    const policy = make();
    await call(policy);
    await call(policy);
    await call(policy, () => new Promise((end) => lab.clock.setTimeout(() => end('late'), 9)));
    const ids: number[] = [];
    hub.listen(({ id }) => ids.push(id));
    await call(new CircuitBreaker('y', { failureThreshold: 1 }, { runtime }));
    expect(ids).toEqual([1]);
  });
});

describe('a hub of events', () => {
  const source = { id: 'retry:a', name: 'a' };
  const emit = (policy = 'retry:a', attempts = 2): void =>
    hub.emit('retry.recovered', { id: policy, name: policy.slice(6) }, { attempts });
  const idsOf = (events: ResilienceEvent[]): number[] => events.map(({ id }) => id);

  it('numbers events and says when', () => {
    const seen: ResilienceEvent[] = [];
    hub.listen((event) => seen.push(event));
    emit();
    lab.clock.jump(5);
    emit();
    const at = lab.clock.wallTime();
    expect(seen).toEqual([
      { id: 1, type: 'retry.recovered', policy: source.id, name: 'a', at: at - 5, attempts: 2 },
      { id: 2, type: 'retry.recovered', policy: source.id, name: 'a', at, attempts: 2 },
    ]);
  });

  it('listens while anybody does', () => {
    const seen: string[] = [];
    expect(hub.listening).toBe(false);
    const leave = ['a', 'b'].map((name) => hub.listen(({ id }) => seen.push(name + String(id))));
    emit();
    leave[0]?.();
    emit();
    expect(hub.listening).toBe(true);
    leave[1]?.();
    emit();
    expect(hub.listening).toBe(false);
    expect(seen).toEqual(['a1', 'b1', 'b2']);
  });

  it('R19 logs what a listener throws, and tells the others', () => {
    const seen: number[] = [];
    hub.listen(() => {
      throw down;
    });
    hub.listen(({ id }) => seen.push(id));
    emit();
    expect(seen).toEqual([1]);
    expect(lab.logger.errors).toEqual([
      { message: 'A listener to "retry.recovered" threw; nothing else is affected', cause: down },
    ]);
  });

  it('R19 logs what an async listener rejects with', async () => {
    const listener: () => unknown = () => Promise.reject(down);
    hub.listen(listener);
    emit();
    await settlePromises();
    expect(lab.logger.errors).toEqual([
      { message: 'A listener to "retry.recovered" threw; nothing else is affected', cause: down },
    ]);
  });

  it('keeps the latest of each policy, in their order', () => {
    hub = new EventHub(() => 0, lab.logger, 2);
    expect(hub.listening).toBe(true);
    for (const policy of ['b', 'a', 'a', 'b', 'a']) emit(`retry:${policy}`);
    expect(idsOf(hub.recent())).toEqual([1, 3, 4, 5]);
    expect(idsOf(hub.recent({ policy: 'retry:a' }))).toEqual([3, 5]);
    expect(idsOf(hub.recent({ after: 3 }))).toEqual([4, 5]);
    expect(idsOf(hub.recent({ policy: 'retry:b', after: 1 }))).toEqual([4]);
    expect(hub.recent({ policy: 'retry:c' })).toEqual([]);
    hub.listen(() => undefined)();
    expect(hub.listening).toBe(true);
  });

  it('keeps nothing without a history', () => {
    hub.listen(() => undefined);
    emit();
    expect(hub.recent()).toEqual([]);
  });
});
