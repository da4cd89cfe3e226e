/** What a subscriber does with an item is no part of the call that the stream is. */
import { AsyncLocalStorage } from 'node:async_hooks';
import {
  Bulkhead,
  CircuitBreaker,
  CircuitProtected,
  Retry,
  TimeLimit,
  currentAttempt,
  remainingTime,
  resilient,
  retry,
  timeLimit,
} from 'nestjs-bulwark';
import { resetDefaultRegistry } from 'nestjs-bulwark/testing';
import {
  type Observable,
  Subject,
  concatMap,
  first,
  from,
  lastValueFrom,
  map,
  mergeMap,
  of,
  switchMap,
  take,
  tap,
  timer,
} from 'rxjs';
import { Lab, down, settled } from '../support/lab.js';

afterEach(resetDefaultRegistry);

class Orders {
  private tries = 0;
  @Retry({ baseDelay: 60, jitter: 0 })
  async place(price: number): Promise<string> {
    if (++this.tries === 1) throw down;
    return `at ${String(price)}`;
  }
  @Bulkhead({ maxConcurrent: 1, maxQueue: 5 })
  async book(price: number): Promise<string> {
    await new Promise((resolve) => setTimeout(resolve, 5));
    return `at ${String(price)}`;
  }
}
class Prices {
  @CircuitProtected()
  latest(): Observable<number> {
    return timer(1).pipe(map(() => 42));
  }
  @TimeLimit(40)
  limited(): Observable<number> {
    return timer(1).pipe(map(() => 42));
  }
}

it('the async context of whoever emits reaches the subscriber, as without a policy', async () => {
  const requests = new AsyncLocalStorage<string>();
  const [bus, cold] = [new Subject<string>(), new Prices()];
  const { runtime } = new Lab();
  const policies = [new CircuitBreaker('b', {}, { runtime }), timeLimit('1h', { runtime })];
  const seen: unknown[] = [];
  const seenBy = (who: string) => (): void => {
    seen.push([who, requests.getStore(), remainingTime(), currentAttempt()]);
  };
  bus.subscribe(seenBy('plain'));
  for (const policy of policies) bus.pipe(resilient(policy)).subscribe(seenBy(policy.name));
  requests.run('request 1', () => bus.next('item'));
  bus.complete();
  expect(seen).toEqual(
    ['plain', 'b', 'timeLimit'].map((who) => [who, 'request 1', undefined, undefined]),
  );
  await requests.run('request 2', () => lastValueFrom(cold.limited().pipe(tap(seenBy('cold')))));
  expect(seen.at(-1)).toEqual(['cold', 'request 2', undefined, undefined]);
});

it('first() and switchMap: the retry of the second call goes on', async () => {
  const orders = new Orders();
  const placed = new Prices().latest().pipe(
    first(),
    switchMap((price) => orders.place(price)),
  );
  expect(await settled(lastValueFrom(placed))).toEqual({ value: 'at 42' });
});

it('first() and switchMap: a queued second call is started', async () => {
  const orders = new Orders();
  void orders.book(1);
  const booked = new Prices().latest().pipe(
    first(),
    switchMap((price) => orders.book(price)),
  );
  expect(await settled(lastValueFrom(booked))).toEqual({ value: 'at 42' });
});

it('take(1) and mergeMap behind resilient(): the same', async () => {
  const { clock, runtime } = new Lab();
  const orders = retry({ baseDelay: 10 }, { runtime });
  const place = ({ attempt }: { attempt: number }) =>
    attempt === 1 ? Promise.reject(down) : 'placed';
  const guard = new CircuitBreaker('prices', {}, { runtime });
  const placed = of(42).pipe(
    resilient(guard),
    take(1),
    mergeMap(() => from(orders.execute(place))),
  );
  const outcome = settled(lastValueFrom(placed));
  await clock.runAll();
  expect(await outcome).toEqual({ value: 'placed' });
});

it("the stream's time limit is not the subscriber's", async () => {
  const orders = new Orders();
  const placed = new Prices().limited().pipe(concatMap((price) => orders.place(price)));
  expect(await settled(lastValueFrom(placed))).toEqual({ value: 'at 42' });
});

it('a subscriber is outside the call: currentAttempt() and remainingTime() are undefined', () => {
  const { runtime } = new Lab();
  let seen: unknown;
  of(1)
    .pipe(resilient(timeLimit(100, { runtime })))
    .subscribe(() => (seen = [currentAttempt(), remainingTime()]));
  expect(seen).toEqual([undefined, undefined]);
});
