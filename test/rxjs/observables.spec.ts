import 'reflect-metadata';
import {
  Bulkhead,
  Fallback,
  Hedge,
  type Policy,
  RateLimit,
  RateLimitedError,
  RetryExhaustedError,
  TimeLimit,
  TimeoutError,
  bulkhead,
  currentAttempt,
  currentSignal,
  fallback,
  hedge,
  pipeline,
  rateLimit,
  remainingTime,
  resilient,
  retry,
  timeLimit,
} from 'nestjs-bulwark';
import { settlePromises } from 'nestjs-bulwark/testing';
import {
  EMPTY,
  NEVER,
  Observable,
  Subject,
  type Subscription,
  concat,
  defer,
  interval,
  lastValueFrom,
  of,
  take,
  throwError,
  timer,
  toArray,
} from 'rxjs';
import { Lab, down, settled } from '../support/lab.js';
import { everyPolicy } from './policies.js';

let lab: Lab;
/** One entry for each subscription to the source: what it is told, and whether it was left. */
let sources: { subject: Subject<string>; signal: AbortSignal | undefined; left: boolean }[];
/** What the subscriber was told, in order. */
let seen: unknown[];
beforeEach(() => {
  lab = new Lab();
  sources = [];
  seen = [];
});

const source = new Observable<string>((subscriber) => {
  const opened = { subject: new Subject<string>(), signal: currentSignal(), left: false };
  sources.push(opened);
  opened.subject.subscribe(subscriber);
  return () => (opened.left = true);
});
const under = (policy: Policy): Observable<unknown> => source.pipe(resilient(policy));
const inLab = () => ({ runtime: lab.runtime });

/** Subscribes, and writes down items, the end and errors. */
function watch(stream: Observable<unknown>): Subscription {
  return stream.subscribe({
    next: (item) => seen.push(item),
    error: (error: unknown) => seen.push(error),
    complete: () => seen.push('complete'),
  });
}
const subjectOf = (at: number): Subject<string> =>
  (sources[at] as (typeof sources)[number]).subject;
async function emit(at: number, ...items: string[]): Promise<void> {
  for (const item of items) subjectOf(at).next(item);
  await settlePromises();
}
async function complete(at: number): Promise<void> {
  subjectOf(at).complete();
  await settlePromises();
}
async function fail(at: number, error: unknown = down): Promise<void> {
  subjectOf(at).error(error);
  await settlePromises();
}

describe.each(everyPolicy)('R43: an Observable under %s', (_title, makeWith) => {
  const make = (): Policy => makeWith(inLab());

  it('is subscribed to when it is subscribed to, and hands items on as they come', async () => {
    const stream = under(make());
    await settlePromises();
    expect(sources).toHaveLength(0);
    watch(stream);
    expect(sources).toHaveLength(1);
    subjectOf(0).next('one');
    expect(seen).toEqual(['one']);
    await emit(0, 'two');
    await complete(0);
    expect(seen).toEqual(['one', 'two', 'complete']);
    expect(lab.clock.pendingTimers).toBeLessThanOrEqual(1);
  });

  it('each subscription is a call of its own', async () => {
    const stream = under(make());
    for (const at of [0, 1]) {
      watch(stream);
      await complete(at);
    }
    expect(seen).toEqual(['complete', 'complete']);
    expect(sources).toHaveLength(2);
  });

  it('leaves its source when it is unsubscribed from, tells the work, and gives everything back', async () => {
    const policy = make();
    const subscription = watch(under(policy));
    await emit(0, 'one');
    subscription.unsubscribe();
    expect(sources[0]?.left).toBe(true);
    expect(sources[0]?.signal?.aborted).toBe(true);
    await lab.clock.runAll();
    expect(seen).toEqual(['one']);
    expect(sources).toHaveLength(1);
    for (const part of policy.parts()) {
      const { inUse = 0, queued = 0 } = part.snapshot() as { inUse?: number; queued?: number };
      expect({ inUse, queued }).toEqual({ inUse: 0, queued: 0 });
    }
  });

  it('never aborts the signal of work that completed', async () => {
    const subscription = watch(under(make()));
    await complete(0);
    subscription.unsubscribe();
    await lab.clock.runAll();
    expect(sources[0]?.signal?.aborted).toBe(false);
  });
});

describe('R60: a time limit of an Observable', () => {
  it('runs until completion: a stream that goes on is left in the middle', async () => {
    watch(under(timeLimit(100, inLab())));
    await emit(0, 'one');
    await lab.clock.advance(99);
    await emit(0, 'two');
    await lab.clock.advance(1);
    expect(seen).toEqual(['one', 'two', expect.any(TimeoutError)]);
    expect(sources[0]).toMatchObject({ left: true });
    expect(sources[0]?.signal?.reason).toBe(seen[2]);
    subjectOf(0).next('late');
    expect(seen).toHaveLength(3);
  });

  it('inside a retry is the limit of each subscription', async () => {
    const policy = pipeline(retry({ baseDelay: 10, jitter: 0 }, inLab()), timeLimit(100, inLab()));
    watch(under(policy));
    await lab.clock.advance(110);
    expect(sources).toHaveLength(2);
    await emit(1, 'one');
    await complete(1);
    expect(seen).toEqual(['one', 'complete']);
  });

  it('R45: what is left of it is known while the source is subscribed to', async () => {
    const times: unknown[] = [];
    const looking = defer(() => of(times.push(remainingTime(), currentAttempt())));
    await lastValueFrom(looking.pipe(resilient(timeLimit(100, inLab()))));
    expect(times).toEqual([100, 1]);
    expect(remainingTime()).toBeUndefined();
  });

  it('R64: a later attempt is hedged as the first is, also after an item', async () => {
    const { runtime } = lab;
    const sources = [
      concat(
        of('a'),
        throwError(() => down),
      ),
      NEVER,
      of('b'),
    ];
    const source = defer((): Observable<string> => sources.shift() ?? NEVER);
    const again = retry({ baseDelay: 10, jitter: 0 }, { runtime });
    const policy = pipeline(again, hedge({ delay: 50 }, { runtime }));
    const items = settled(lastValueFrom(source.pipe(resilient(policy), toArray())));
    await lab.clock.runAll();
    expect(await items).toEqual({ value: ['a', 'b'] });
  });

  it('R61: the nearest limit wins', async () => {
    watch(under(pipeline(timeLimit(100, inLab()), timeLimit(500, inLab()))));
    await lab.clock.advance(100);
    expect(seen).toEqual([expect.objectContaining({ timeout: 100 })]);
  });
});

describe('R62: a bulkhead of Observables', () => {
  const ends: [string, (first: Subscription) => Promise<void> | void][] = [
    ['completion', () => complete(0)],
    ['an error', () => fail(0)],
    ['unsubscribing', (first) => first.unsubscribe()],
  ];

  it.each(ends)('holds the slot until %s', async (_title, end) => {
    const slots = bulkhead({ maxConcurrent: 1 }, inLab());
    const first = under(slots).subscribe({ error: () => undefined });
    await emit(0, 'one', 'two');
    watch(under(slots));
    await settlePromises();
    expect(seen).toEqual([expect.objectContaining({ code: 'BULKHEAD_FULL' })]);
    await end(first);
    await settlePromises();
    watch(under(slots));
    expect(sources).toHaveLength(2);
  });

  it.each(ends)('a queued subscription reaches its source after %s', async (_title, end) => {
    const slots = bulkhead({ maxConcurrent: 1, maxQueue: 1 }, inLab());
    const first = under(slots).subscribe({ error: () => undefined });
    watch(under(slots));
    await settlePromises();
    expect(sources).toHaveLength(1);
    await end(first);
    await settlePromises();
    expect(sources).toHaveLength(2);
    await emit(1, 'mine');
    expect(seen).toEqual(['mine']);
  });

  it('a queued subscription that is left never reaches its source', async () => {
    const slots = bulkhead({ maxConcurrent: 1, maxQueue: 1 }, inLab());
    watch(under(slots));
    watch(under(slots)).unsubscribe();
    await complete(0);
    expect(sources).toHaveLength(1);
    expect(slots.snapshot()).toMatchObject({ inUse: 0, queued: 0, calls: { aborted: 1 } });
  });
});

describe('a rate limit of Observables', () => {
  it('counts subscriptions, not items', async () => {
    const rate = rateLimit({ limit: 2, interval: 1000 }, inLab());
    for (const at of [0, 1]) {
      watch(under(rate));
      await emit(at, 'a', 'b', 'c');
      await complete(at);
    }
    expect(await settled(lastValueFrom(under(rate)))).toEqual({
      error: expect.any(RateLimitedError),
    });
    expect(sources).toHaveLength(2);
  });

  it('with maxWait subscribes to the source when it is its turn', async () => {
    const rate = rateLimit({ limit: 1, interval: 100, maxWait: 100 }, inLab());
    watch(under(rate));
    watch(under(rate));
    await lab.clock.advance(99);
    expect(sources).toHaveLength(1);
    await lab.clock.advance(1);
    expect(sources).toHaveLength(2);
  });
});

describe('R63: a fallback of an Observable', () => {
  it.each<[string, () => unknown, unknown[]]>([
    ['a value', () => 'instead', ['instead', 'complete']],
    ['a promise', () => Promise.resolve('instead'), ['instead', 'complete']],
    ['an Observable', () => of('one', 'two'), ['one', 'two', 'complete']],
    ['an empty Observable', () => EMPTY, ['complete']],
    ['an Observable that fails', () => throwError(() => down), [down]],
    ['undefined', () => undefined, [undefined, 'complete']],
  ])('may be %s', async (_title, handler, expected) => {
    watch(under(fallback(handler, {}, inLab())));
    await fail(0, new Error('gone'));
    expect(seen).toEqual(expected);
  });

  it('comes after the items that were there before the error, as with catchError', async () => {
    watch(under(fallback(() => of('instead'), {}, inLab())));
    await emit(0, 'one');
    await fail(0);
    expect(seen).toEqual(['one', 'instead', 'complete']);
  });

  it('that is an Observable is left when the subscriber leaves', async () => {
    let left = false;
    const instead = new Observable<string>(() => () => (left = true));
    const subscription = watch(under(fallback(() => instead, {}, inLab())));
    await fail(0);
    expect(left).toBe(false);
    subscription.unsubscribe();
    expect(left).toBe(true);
  });

  it('does not cover a subscriber who leaves', async () => {
    const handler = fallback(() => 'instead', {}, inLab());
    watch(under(handler)).unsubscribe();
    await settlePromises();
    expect(seen).toEqual([]);
    expect(handler.snapshot()).toMatchObject({ calls: { served: 0, failed: 0 } });
  });

  it('outside a retry answers once, when every subscription has failed', async () => {
    const policy = pipeline(
      fallback((error: Error) => of(error.name), {}, inLab()),
      retry({ maxAttempts: 3, jitter: 0 }, inLab()),
    );
    watch(throwError(() => down).pipe(resilient(policy)));
    await lab.clock.runAll();
    expect(seen).toEqual(['RetryExhaustedError', 'complete']);
  });

  it('inside a retry hides the failure from it', async () => {
    const policy = pipeline(
      retry({}, inLab()),
      fallback(() => 'instead', {}, inLab()),
    );
    watch(under(policy));
    await fail(0);
    await lab.clock.runAll();
    expect(seen).toEqual(['instead', 'complete']);
    expect(sources).toHaveLength(1);
  });

  it('that is an Observable is covered by the policies around it', async () => {
    watch(
      under(
        pipeline(
          timeLimit(100, inLab()),
          fallback(() => NEVER, {}, inLab()),
        ),
      ),
    );
    await fail(0);
    await lab.clock.advance(100);
    expect(seen).toEqual([expect.any(TimeoutError)]);
  });

  it('that is an Observable and fails is retried around it, and its items come once', async () => {
    let opened = 0;
    const instead = defer(() => (++opened === 1 ? throwError(() => down) : of('second')));
    const policy = pipeline(
      retry({ jitter: 0 }, inLab()),
      fallback(() => instead, {}, inLab()),
    );
    watch(throwError(() => down).pipe(resilient(policy)));
    await lab.clock.runAll();
    expect(seen).toEqual(['second', 'complete']);
  });
});

describe('R64: a hedge of an Observable', () => {
  const hedged = (): Observable<unknown> => under(hedge({ delay: 50 }, inLab()));

  it('subscribes again when no item has come in time; the first to bring one has the subscriber', async () => {
    watch(hedged());
    await lab.clock.advance(50);
    expect(sources).toHaveLength(2);
    await emit(1, 'hedge 1');
    await emit(0, 'original 1');
    await emit(1, 'hedge 2');
    await complete(1);
    expect(seen).toEqual(['hedge 1', 'hedge 2', 'complete']);
  });

  it('does not subscribe again once an item has come', async () => {
    watch(hedged());
    await emit(0, 'one');
    await lab.clock.advance(500);
    expect(sources).toHaveLength(1);
    await complete(0);
    expect(seen).toEqual(['one', 'complete']);
  });

  it('leaves and aborts the loser as soon as another has brought an item', async () => {
    watch(hedged());
    await lab.clock.advance(50);
    await emit(1, 'mine');
    expect(sources[0]?.left).toBe(true);
    expect(sources[0]?.signal?.aborted).toBe(true);
    expect(sources[1]).toMatchObject({ left: false });
    expect(sources[1]?.signal?.aborted).toBe(false);
    await complete(1);
    expect(sources[1]?.signal?.aborted).toBe(false);
    expect(seen).toEqual(['mine', 'complete']);
  });

  it('a loser that completes empty does not cut the winner short', async () => {
    watch(hedged());
    await lab.clock.advance(50);
    await emit(1, 'one');
    subjectOf(0).complete();
    await settlePromises();
    await emit(1, 'two');
    await complete(1);
    expect(seen).toEqual(['one', 'two', 'complete']);
  });

  it('the first to complete without items wins while nobody has brought one', async () => {
    watch(hedged());
    await lab.clock.advance(50);
    await complete(0);
    expect(seen).toEqual(['complete']);
    expect(sources[1]).toMatchObject({ left: true });
  });

  it('a failure after items is the answer: no other try repeats them', async () => {
    watch(hedged());
    await lab.clock.advance(50);
    await emit(0, 'one');
    await fail(0);
    subjectOf(1).next('other');
    subjectOf(1).complete();
    await lab.clock.runAll();
    expect(seen).toEqual(['one', down]);
  });

  it('a failure before any item starts another at once', async () => {
    watch(hedged());
    await fail(0);
    expect(sources).toHaveLength(2);
    await emit(1, 'one');
    await complete(1);
    expect(seen).toEqual(['one', 'complete']);
    expect(lab.clock.now()).toBe(0);
  });

  it('all failing gives the last error', async () => {
    watch(hedged());
    await lab.clock.advance(50);
    await fail(0);
    await fail(1, new Error('the last'));
    expect(seen).toEqual([expect.objectContaining({ message: 'the last' })]);
  });

  it('unsubscribing leaves every try', async () => {
    const subscription = watch(hedged());
    await lab.clock.advance(50);
    subscription.unsubscribe();
    expect(sources.map(({ left }) => left)).toEqual([true, true]);
    expect(sources.map(({ signal }) => signal?.aborted)).toEqual([true, true]);
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('inside a retry: a new attempt hedges anew, and only its winner is heard', async () => {
    const policy = pipeline(
      retry({ baseDelay: 10, jitter: 0 }, inLab()),
      hedge({ delay: 50 }, inLab()),
    );
    watch(under(policy));
    await fail(0);
    await fail(1);
    await lab.clock.advance(60);
    expect(sources).toHaveLength(4);
    await emit(3, 'four');
    await emit(2, 'three');
    await complete(3);
    expect(seen).toEqual(['four', 'complete']);
  });
});

describe('R43: decorated methods with an Observable', () => {
  class Prices {
    @TimeLimit(1000)
    @Fallback('cached')
    @Hedge({ delay: 50 })
    @RateLimit({ limit: 2, interval: '1h' })
    @Bulkhead({ maxConcurrent: 2 })
    prices(pair: string): Observable<string> {
      return concat(of(pair), source);
    }
    cached(error: Error, pair: string): Observable<string> {
      return of(`${pair}: ${error.name}`);
    }
  }

  it('each subscription passes all of them, and the fallback gets the arguments', async () => {
    const stream = new Prices().prices('EUR/USD');
    for (const at of [0, 1]) {
      watch(stream);
      await complete(at);
    }
    watch(stream);
    await settlePromises();
    expect(seen.slice(0, 4)).toEqual(['EUR/USD', 'complete', 'EUR/USD', 'complete']);
    expect(seen.slice(4)).toEqual(['EUR/USD: RateLimitedError', 'complete']);
  });
});

describe('resilient(policy)', () => {
  it('gives RetryExhaustedError after the last subscription', async () => {
    watch(under(retry({ maxAttempts: 2, jitter: 0 }, inLab())));
    await fail(0);
    await lab.clock.advance(100);
    await fail(1);
    expect(seen).toEqual([expect.any(RetryExhaustedError)]);
  });

  it('stands in a pipe between other operators', async () => {
    const stream = timer(0, 1).pipe(resilient(timeLimit('1m')), take(2));
    expect(await lastValueFrom(stream)).toBe(1);
    const other = interval(1).pipe(take(2), resilient(timeLimit('1m')));
    expect(await lastValueFrom(other)).toBe(1);
  });

  it('inside another protected stream sees the nearest limit, and leaves with it', async () => {
    const inner = under(timeLimit(500, inLab()));
    watch(defer(() => inner).pipe(resilient(timeLimit(100, inLab()))));
    await lab.clock.advance(100);
    expect(seen).toEqual([expect.objectContaining({ timeout: 100 })]);
    expect(sources[0]).toMatchObject({ left: true });
    expect(sources[0]?.signal?.aborted).toBe(true);
  });
});
