import 'reflect-metadata';
import type { Type } from '@nestjs/common';
import {
  CircuitBreaker,
  CircuitBreakerError,
  CircuitProtected,
  Retry,
  RetryExhaustedError,
  pipeline,
  resilient,
  retry,
} from 'nestjs-bulwark';
import {
  EMPTY,
  NEVER,
  Observable,
  Subject,
  concat,
  defer,
  firstValueFrom,
  from,
  lastValueFrom,
  map,
  materialize,
  of,
  range,
  take,
  throwError,
  toArray,
} from 'rxjs';
import { Lab, deferred, down, settled } from '../support/lab.js';
import { closeAll, startUnder } from './support/applications.js';

let lab: Lab;
let breaker: CircuitBreaker;
let subscriptions: number;
let finalized: number;
let source: () => Observable<unknown>;
beforeEach(() => {
  lab = new Lab();
  subscriptions = finalized = 0;
  source = () => of('one', 'two');
});
afterEach(closeAll);

/** What each subscription gets, with the subscriptions counted. */
function counted(make: () => Observable<unknown>): Observable<unknown> {
  return new Observable((subscriber) => {
    subscriptions++;
    subscriber.add(make().subscribe(subscriber));
    return () => finalized++;
  });
}

function* endless(): Generator<string> {
  for (;;) yield 'again';
}

class Prices {
  @CircuitProtected('prices')
  declared(): Observable<unknown> {
    return counted(source);
  }
  @CircuitProtected('prices')
  undeclared() {
    return counted(source);
  }
  @Retry({ maxAttempts: 3 })
  @CircuitProtected('prices')
  retried(): Observable<unknown> {
    return counted(source);
  }
}
const kinds = ['declared', 'undeclared'] as const;

async function made<T>(type: Type<T>): Promise<T> {
  const { instance, ...rest } = await startUnder('prices', type, lab);
  breaker = rest.breaker;
  return instance;
}

const all = (stream: Observable<unknown>): Promise<unknown> =>
  lastValueFrom(stream.pipe(toArray()));
const countsOf = ({ stats }: CircuitBreaker): string =>
  `${String(stats.successfulCalls)} ok, ${String(stats.failedCalls)} failed, ${String(stats.inFlight)} in flight`;

describe.each(kinds)('R43: a method whose Observable is %s', (method) => {
  it('returns an Observable and does nothing until it is subscribed to', async () => {
    const stream = (await made(Prices))[method]();
    expect(stream).toBeInstanceOf(Observable);
    expect(subscriptions).toBe(0);
    expect(countsOf(breaker)).toBe('0 ok, 0 failed, 0 in flight');
  });

  it('each subscription is one call', async () => {
    const stream = (await made(Prices))[method]();
    expect(await all(stream)).toEqual(['one', 'two']);
    expect(await all(stream)).toEqual(['one', 'two']);
    expect(subscriptions).toBe(2);
    expect(countsOf(breaker)).toBe('2 ok, 0 failed, 0 in flight');
  });

  it.each<[string, () => Observable<unknown>, unknown[]]>([
    ['that is empty', () => EMPTY, []],
    ['of undefined', () => of(undefined), [undefined]],
    ['of NaN', () => of(1, NaN), [1, NaN]],
    ['of Observables', () => of(EMPTY), [EMPTY]],
    ['of many items', () => range(0, 100), Array.from({ length: 100 }, (_, at) => at)],
    ['that emits later', () => from(Promise.resolve('late')), ['late']],
  ])('a stream %s is as it was', async (_title, make, items) => {
    source = make;
    expect(await all((await made(Prices))[method]())).toEqual(items);
    expect(countsOf(breaker)).toBe('1 ok, 0 failed, 0 in flight');
  });

  it('a stream of promises is as it was', async () => {
    const [one, two] = [Promise.resolve(1), Promise.reject(down)];
    two.catch(() => undefined);
    source = () => of(one, two);
    const items = (await all((await made(Prices))[method]())) as unknown[];
    expect(items).toHaveLength(2);
    expect(items[0]).toBe(one);
    expect(items[1]).toBe(two);
    expect(countsOf(breaker)).toBe('1 ok, 0 failed, 0 in flight');
  });

  it('items come as soon as the source emits them', async () => {
    const subject = new Subject();
    source = () => concat(of('first'), subject);
    const seen: unknown[] = [];
    const subscription = (await made(Prices))[method]().subscribe((item) => seen.push(item));
    expect(seen).toEqual(['first']);
    subject.next('second');
    expect(seen).toEqual(['first', 'second']);
    subscription.unsubscribe();
  });

  it('an error is the same object, after the items before it', async () => {
    source = () =>
      concat(
        of('one'),
        throwError(() => down),
      );
    const seen = await all((await made(Prices))[method]().pipe(materialize()));
    expect(seen).toEqual([
      expect.objectContaining({ kind: 'N', value: 'one' }),
      expect.objectContaining({ kind: 'E' }),
    ]);
    await expect(lastValueFrom((await made(Prices))[method]())).rejects.toBe(down);
    expect(countsOf(breaker)).toBe('0 ok, 1 failed, 0 in flight');
  });

  it('an open circuit errors each subscription without one to the source', async () => {
    const stream = (await made(Prices))[method]();
    breaker.isolate();
    for (let each = 0; each < 2; each++)
      await expect(lastValueFrom(stream)).rejects.toBeInstanceOf(CircuitBreakerError);
    expect(subscriptions).toBe(0);
  });

  it('the circuit opens between two subscriptions', async () => {
    source = () => throwError(() => down);
    const stream = (await made(Prices))[method]();
    await settled(lastValueFrom(stream));
    await settled(lastValueFrom(stream));
    await expect(lastValueFrom(stream)).rejects.toBeInstanceOf(CircuitBreakerError);
    expect(subscriptions).toBe(2);
  });

  it('R13: firstValueFrom had its answer: a success, and the source is left', async () => {
    source = () => concat(of('first'), NEVER);
    const service = await made(Prices);
    expect(await firstValueFrom(service[method]())).toBe('first');
    await lab.clock.runAll();
    expect(finalized).toBe(1);
    expect(countsOf(breaker)).toBe('1 ok, 0 failed, 0 in flight');
  });

  it('unsubscribing before an item leaves the source, gives the permit back and counts as ignored', async () => {
    source = () => NEVER;
    const subscription = (await made(Prices))[method]().subscribe();
    const ignored = breaker.stats.ignoredCalls;
    expect(countsOf(breaker)).toBe('0 ok, 0 failed, 1 in flight');
    subscription.unsubscribe();
    await lab.clock.runAll();
    expect(finalized).toBe(1);
    expect(countsOf(breaker)).toBe('0 ok, 0 failed, 0 in flight');
    expect(breaker.stats.ignoredCalls).toBe(ignored + 1);
  });

  it('a source that never pauses can be left', async () => {
    source = () => from(endless());
    const items = await all((await made(Prices))[method]().pipe(take(3)));
    expect(items).toEqual(['again', 'again', 'again']);
    await lab.clock.runAll();
    expect(finalized).toBe(1);
    expect(breaker.stats.inFlight).toBe(0);
  });

  it('a probe that is left gives its permit back', async () => {
    const prices = await made(Prices);
    source = () => throwError(() => down);
    for (let each = 0; each < 2; each++) await settled(lastValueFrom(prices[method]()));
    lab.clock.jump(10_000);
    source = () => NEVER;
    for (let each = 0; each < 5; each++) {
      prices[method]().subscribe().unsubscribe();
      await lab.clock.runAll();
    }
    source = () => of('fine');
    for (let each = 0; each < 2; each++) await lastValueFrom(prices[method]());
    expect(breaker.state).toBe('closed');
  });

  it('a hot source is shared by its subscriptions as before', async () => {
    const hot = new Subject();
    source = () => hot;
    const stream = (await made(Prices))[method]();
    const results = [all(stream), all(stream)];
    hot.next('news');
    hot.complete();
    expect(await Promise.all(results)).toEqual([['news'], ['news']]);
    expect(countsOf(breaker)).toBe('2 ok, 0 failed, 0 in flight');
  });

  it('a method that throws errors the subscription or throws at the call, as it is', async () => {
    source = () => {
      throw down;
    };
    const outcome = await settled((async () => lastValueFrom((await made(Prices))[method]()))());
    expect(outcome).toEqual({ error: down });
  });
});

describe('R43: a retry of an Observable', () => {
  it('subscribes again, each time through the gates', async () => {
    source = () => (subscriptions < 2 ? throwError(() => down) : of('fine'));
    const prices = await made(Prices);
    expect(await lab.resultOf(all(prices.retried()))).toEqual(['fine']);
    expect(countsOf(breaker)).toBe('1 ok, 1 failed, 0 in flight');
    expect(lab.clock.now()).toBe(100);
  });

  it('gives up with RetryExhaustedError, or at once when the circuit opens', async () => {
    source = () => throwError(() => down);
    const prices = await made(Prices);
    expect(await lab.errorOf(all(prices.retried()))).toBeInstanceOf(CircuitBreakerError);
    expect(subscriptions).toBe(2);
    breaker.disable();
    subscriptions = 0;
    expect(await lab.errorOf(all(prices.retried()))).toBeInstanceOf(RetryExhaustedError);
    expect(subscriptions).toBe(3);
  });

  it('waits for nobody: unsubscribing during the wait takes the timer away', async () => {
    source = () => throwError(() => down);
    const subscription = (await made(Prices)).retried().subscribe();
    await lab.clock.advance(50);
    expect(lab.clock.pendingTimers).toBe(1);
    subscription.unsubscribe();
    expect(lab.clock.pendingTimers).toBe(0);
    await lab.clock.advance(10_000);
    expect(subscriptions).toBe(1);
  });

  it('calls the method again when it makes a new Observable each time', async () => {
    let calls = 0;
    class Made {
      @Retry()
      make(): Observable<number> {
        const call = ++calls;
        return defer(() => (call < 3 ? throwError(() => down) : of(call)));
      }
    }
    const stream = (await made(Made)).make();
    expect(await lab.resultOf(all(stream))).toEqual([3]);
    expect(calls).toBe(3);
  });

  it('passes the retried stream on to operators', async () => {
    source = () => (subscriptions < 2 ? throwError(() => down) : of(20, 22));
    const doubled = (await made(Prices)).retried().pipe(map((item) => Number(item) * 2));
    expect(await lab.resultOf(all(doubled))).toEqual([40, 44]);
  });
});

describe('rxjs: resilient(policy)', () => {
  it('runs each subscription as one call under the policy', async () => {
    const mine = new CircuitBreaker('mine', { failureThreshold: 2 }, { runtime: lab.runtime });
    const policy = pipeline(retry({ maxAttempts: 2 }, { runtime: lab.runtime }), mine);
    source = () => (subscriptions % 2 === 1 ? throwError(() => down) : of('fine'));
    const stream = counted(source).pipe(resilient(policy));
    expect(subscriptions).toBe(0);
    expect(await lab.resultOf(lastValueFrom(stream))).toBe('fine');
    expect(await lab.resultOf(lastValueFrom(stream))).toBe('fine');
    expect(countsOf(mine)).toBe('2 ok, 2 failed, 0 in flight');
  });

  it('gives the permit back when the first item is enough', async () => {
    const mine = new CircuitBreaker('mine');
    const never = deferred();
    const stream = concat(of('first'), from(never.promise)).pipe(resilient(mine));
    expect(await firstValueFrom(stream)).toBe('first');
    await lab.clock.runAll();
    expect(mine.stats.inFlight).toBe(0);
  });
});
