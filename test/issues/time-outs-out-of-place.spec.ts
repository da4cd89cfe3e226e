import { AsyncLocalStorage } from 'node:async_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { jest } from '@jest/globals';
import {
  CircuitBreaker,
  EventHub,
  type Policy,
  type RuntimeOptions as Runtime,
  adaptiveLimit,
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
import { Lab, settled } from '../support/lab.js';

/** Where a time-out leads: a timer that all calls of a limit share is nobody's async context. */
let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});

const request = new AsyncLocalStorage<string>();
const hang = (): Promise<never> => new Promise(() => undefined);

describe('a time-out leaves what follows in the async context of its own call', () => {
  const setting = (): { runtime: Lab['runtime'] } => ({ runtime: lab.runtime });
  const limit = (): Policy => timeLimit(10, setting());
  it.each<[string, (look: () => unknown) => Policy[]]>([
    [
      'onRetry',
      (look) => [retry({ baseDelay: 1, maxAttempts: 2, onRetry: look }, setting()), limit()],
    ],
    ['a fallback', (look) => [fallback(look, {}, setting()), limit()]],
    [
      'a fallback around a retry',
      (look) => [fallback(look, {}, setting()), retry({ maxAttempts: 1 }, setting()), limit()],
    ],
    [
      'a fallback around a bulkhead with a queue',
      (look) => [fallback(look, {}, setting()), bulkhead({ maxQueue: 1 }, setting()), limit()],
    ],
    [
      'a listener of a breaker',
      (look) => [
        new CircuitBreaker('b', { failureThreshold: 1, onStateChange: look }, setting()),
        limit(),
      ],
    ],
  ])('%s', async (_what, policiesOf) => {
    const seen: unknown[] = [];
    const policy = pipeline(...policiesOf(() => seen.push(request.getStore())));
    // The timer is set by the first call and tells both.
    const first = request.run('first', () => lab.outcomeOf(policy.execute(hang)));
    const second = request.run('second', () => lab.outcomeOf(policy.execute(hang)));
    await lab.clock.advance(100);
    await Promise.all([first, second]);
    expect(seen[0]).toBe('first');
    if (seen.length > 1) expect(seen[1]).toBe('second');
  });

  it.each<[string, () => Policy]>([
    ['the next attempt', () => retry({ baseDelay: 1, maxAttempts: 2 }, setting())],
    ['a hedge', () => hedge({ delay: 1000 }, setting())],
  ])('%s', async (_what, make) => {
    const seen: unknown[] = [];
    const policy = pipeline(make(), limit());
    const running = request.run('mine', () =>
      policy.execute(() => {
        seen.push(request.getStore());
        return seen.length === 1 ? hang() : 'done';
      }),
    );
    await lab.clock.advance(100);
    expect([await running, seen]).toEqual(['done', ['mine', 'mine']]);
  });

  it('and what the work calls in the context that the work has made', async () => {
    const seen: unknown[] = [];
    const look = (): number => seen.push(request.getStore());
    const lookLater = async (): Promise<void> => {
      await settlePromises();
      look();
    };
    const inner = [new CircuitBreaker('b', {}, setting()), pipeline(retry({}, setting()), limit())];
    const outer = pipeline(retry({}, setting()), limit());
    await request.run('outer', () =>
      outer.execute(async () => {
        look();
        for (const policy of inner) {
          await request.run('inner', () => policy.execute(lookLater));
        }
        look();
      }),
    );
    expect(seen).toEqual(['outer', 'inner', 'inner', 'outer']);
  });

  it('R61 a fallback inside a longer limit knows what is left of it', async () => {
    const inner = pipeline(
      fallback(() => remainingTime(), {}, setting()),
      limit(),
    );
    const running = timeLimit(1000, setting()).execute(() => inner.execute(hang));
    await lab.clock.advance(10);
    expect(await running).toBe(990);
  });
});

describe('what is told of the end of a wait is told in the async context of its call', () => {
  type Make = (runtime: Runtime) => Policy;
  it.each<[string, string, Make, string[]]>([
    [
      'a time limit inside a retry',
      'time-limit.exceeded',
      (runtime) => pipeline(retry({ maxAttempts: 1 }, { runtime }), timeLimit(50, { runtime })),
      ['a', 'b'],
    ],
    [
      'a queue',
      'bulkhead.rejected',
      (runtime) => bulkhead({ maxConcurrent: 1, maxQueue: 2, queueTimeout: 10 }, { runtime }),
      ['b'],
    ],
  ])('of %s', async (_what, type, make, expected) => {
    const events = new EventHub(() => 0, lab.logger);
    const seen: unknown[] = [];
    events.listen((event) => {
      if (event.type === type) seen.push(request.getStore());
    });
    const policy = make({ ...lab.runtime, events });
    void request.run('a', () => settled(policy.execute(hang)));
    await lab.clock.advance(5);
    void request.run('b', () => settled(policy.execute(hang)));
    await lab.clock.runAll();
    expect(seen).toEqual(expected);
  });
});

describe('work that hangs on after its time-out keeps nothing of what the call ends with', () => {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;

  it.each<[string, (limit: Policy) => Policy[]]>([
    ['retry', (limit) => [retry({ baseDelay: 1 }, { runtime: lab.runtime }), limit]],
    ['fallback', (limit) => [fallback(() => ({ big: true }), {}, { runtime: lab.runtime }), limit]],
    [
      'retry around a bulkhead',
      (limit) => [
        retry({ baseDelay: 1 }, { runtime: lab.runtime }),
        bulkhead({}, { runtime: lab.runtime }),
        limit,
      ],
    ],
    [
      'limit around a hedge',
      (limit) => [
        timeLimit(1000, { runtime: lab.runtime }),
        hedge({ delay: 5 }, { runtime: lab.runtime }),
        limit,
      ],
    ],
  ])('%s', async (_what, policiesAround) => {
    const hanging: (() => void)[] = [];
    const policy = pipeline(...policiesAround(timeLimit(50, { runtime: lab.runtime })));
    const call = async (): Promise<WeakRef<object>> => {
      let tries = 0;
      const running = policy.execute(() =>
        tries++ === 0
          ? new Promise<object>((resolve) => hanging.push(() => resolve({})))
          : { big: true },
      );
      await lab.clock.advance(100);
      return new WeakRef(await running);
    };
    const results: WeakRef<object>[] = [];
    for (let at = 0; at < 5; at++) results.push(await call());
    await new Promise((resolve) => setImmediate(resolve));
    collect();
    // The last may still be in a register.
    expect(results.slice(0, -1).filter((result) => result.deref() !== undefined)).toEqual([]);
    expect(hanging).toHaveLength(5);
  });
});

it('an error that cannot be inspected is the answer around a rate limit, too', async () => {
  const hostile = new Proxy(() => 0, {
    getPrototypeOf() {
      throw new Error('trap');
    },
  });
  const { runtime } = lab;
  const policy = pipeline(
    rateLimit({ limit: 9, interval: 1000 }, { runtime }),
    timeLimit(500, { runtime }),
  );
  let caught: unknown;
  policy
    .execute(() => Promise.reject(hostile as unknown as Error))
    .catch((error: unknown) => (caught = error));
  await settlePromises();
  expect(caught === hostile).toBe(true);
});

it('a time-out outside an adaptive limit is a drop, also where the limit holds its slot to the end', async () => {
  const { runtime } = lab;
  const limit = adaptiveLimit({}, { runtime });
  const policy = pipeline(timeLimit(20, { runtime }), limit, hedge({ delay: 1000 }, { runtime }));
  const running = lab.outcomeOf(
    policy.execute(
      ({ signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(new DOMException('Aborted', 'AbortError')));
        }),
    ),
  );
  await lab.clock.advance(50);
  await running;
  await settlePromises();
  expect(limit.snapshot().calls).toMatchObject({ dropped: 1, ignored: 0 });
});

it('an opening without jitter draws no random number: others share them', () => {
  const random = jest.fn(() => 0.5);
  const breaker = new CircuitBreaker(
    'b',
    { failureThreshold: 1 },
    { runtime: { ...lab.runtime, random } },
  );
  breaker.tryAcquire()?.failure(new Error('down'));
  expect([breaker.state, random.mock.calls.length]).toEqual(['open', 0]);
});
