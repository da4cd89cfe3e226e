/** A timer, a consumer or a socket that a call started lives in its async context; what it does is no part of the call. */
import { EventEmitter } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import {
  type CallContext,
  CircuitProtected,
  Retry,
  TimeLimit,
  bulkhead,
  rateLimit,
  remainingTime,
  retry,
  timeLimit,
} from 'nestjs-bulwark';
import { resetDefaultRegistry } from 'nestjs-bulwark/testing';
import { type Observable, defer, firstValueFrom, fromEvent, switchMap } from 'rxjs';
import { type Deferred, Lab, deferred, down, settled } from '../support/lab.js';

afterEach(resetDefaultRegistry);

/** Starts `work` in the async context of a call that ended in time, 900 ms after its deadline. */
async function afterItsCall<T>(lab: Lab, work: () => T): Promise<T> {
  const later: Deferred = deferred();
  let begun: Promise<T> | undefined;
  await timeLimit(100, { runtime: lab.runtime }).execute(() => {
    begun = later.promise.then(work);
    return 'in time';
  });
  await lab.clock.advance(1000);
  later.resolve(undefined);
  return begun as Promise<T>;
}

it('R62: a queued call of theirs starts or is refused, and leaves the queue', async () => {
  const lab = new Lab();
  const slots = bulkhead({ maxConcurrent: 1, maxQueue: 5 }, { runtime: lab.runtime });
  const busy = deferred();
  void slots.execute(() => busy.promise);
  let outcome: unknown = 'never answered';
  await afterItsCall(
    lab,
    () => void settled(slots.execute(() => 'started')).then((o) => (outcome = o)),
  );
  busy.resolve(1);
  await lab.clock.runAll();
  expect(slots.snapshot()).toMatchObject({ inUse: 0, queued: 0 });
  expect(outcome).toEqual({ value: 'started' });
});

it('R61, R45: their retries go on, and remainingTime() is undefined', async () => {
  const lab = new Lab();
  const policy = retry({}, { runtime: lab.runtime });
  const [left, outcome] = await afterItsCall(
    lab,
    () =>
      [
        remainingTime(),
        settled(policy.execute(({ attempt }) => (attempt === 1 ? Promise.reject(down) : 'ok'))),
      ] as const,
  );
  await lab.clock.runAll();
  expect([left, await outcome]).toEqual([undefined, { value: 'ok' }]);
});

it('a rate limit lets their calls wait', async () => {
  const lab = new Lab();
  const limit = rateLimit({ limit: 1, interval: 100, maxWait: 1000 }, { runtime: lab.runtime });
  await limit.execute(() => 'takes the token');
  const outcome = await afterItsCall(lab, async () => {
    await limit.execute(() => 'takes the next');
    return [settled(limit.execute(() => 'waited'))];
  });
  await lab.clock.runAll();
  expect(await outcome[0]).toEqual({ value: 'waited' });
});

it('a consumer that a protected connect() started', async () => {
  class Consumer {
    readonly seen: unknown[] = [];
    private tries = 0;
    @TimeLimit(30)
    async connect(): Promise<void> {
      setTimeout(() => void settled(this.handle()).then((o) => this.seen.push(o)), 60);
    }
    @Retry({ baseDelay: 1 })
    async handle(): Promise<string> {
      if (++this.tries === 1) throw down;
      return 'handled';
    }
  }
  const consumer = new Consumer();
  await consumer.connect();
  await new Promise((resolve) => setTimeout(resolve, 120));
  expect(consumer.seen).toEqual([{ value: 'handled' }]);
});

it('a client that connected in a call which its caller left, as ClientProxy does', async () => {
  class Client {
    private socket: EventEmitter | undefined;
    @CircuitProtected()
    send(): Observable<number> {
      return defer(() => fromEvent(this.connection(), 'data') as Observable<number>);
    }
    private connection(): EventEmitter {
      if (this.socket === undefined) {
        const socket = (this.socket = new EventEmitter());
        setInterval(() => socket.emit('data', 42), 5).unref(); // in the async context of the first call
      }
      return this.socket;
    }
  }
  class Orders {
    private tries = 0;
    @Retry({ baseDelay: 5 })
    async place(price: number): Promise<string> {
      if (++this.tries === 1) throw down;
      return `at ${String(price)}`;
    }
  }
  const client = new Client();
  await firstValueFrom(client.send()); // leaves: its signal is aborted
  const orders = new Orders();
  const placed = client.send().pipe(switchMap((price) => orders.place(price)));
  expect(await settled(firstValueFrom(placed))).toEqual({ value: 'at 42' });
});

it('a call that was answered at its limit, once its work has ended', async () => {
  const lab = new Lab();
  const [work, later] = [deferred(), deferred()];
  const again = retry({}, { runtime: lab.runtime });
  const fails = ({ attempt }: { attempt: number }): unknown => {
    if (attempt === 1) throw down;
    return 'ok';
  };
  let begun: Promise<unknown> | undefined;
  const limited = settled(
    timeLimit(100, { runtime: lab.runtime }).execute(() => {
      begun = later.promise.then(() => settled(again.execute(fails)));
      return work.promise;
    }),
  );
  await lab.clock.advance(100);
  expect(await limited).toMatchObject({ error: { code: 'TIMEOUT' } });
  work.resolve('late');
  await lab.clock.advance(0);
  later.resolve(undefined);
  await lab.clock.runAll();
  expect(await begun).toEqual({ value: 'ok' });
});

it.each(['after it has ended', 'before it ends'])(
  'polls that each start the next, %s, keep nothing of the ones before',
  async (when) => {
    const lab = new Lab();
    const limit = timeLimit('1h', { runtime: lab.runtime });
    const calls: WeakRef<CallContext>[] = [];
    const later = (work: () => void, by: number): void =>
      void lab.clock.setTimeout(work, when === 'before it ends' ? 1 : by);
    const poll = (): void => {
      void limit.execute(async (call) => {
        calls.push(new WeakRef(call));
        if (calls.length <= 40) later(poll, 3);
        await new Promise<void>((end) => void lab.clock.setTimeout(end, 2));
      });
    };
    poll();
    while (calls.length <= 40) await lab.clock.advance(1);
    await collectGarbage();
    const kept = calls.filter((call) => call.deref() !== undefined).length;
    expect(kept).toBeLessThan(10);
  },
);

async function collectGarbage(): Promise<void> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (let time = 0; time < 3; time++) {
    await new Promise((resolve) => setImmediate(resolve));
    collect();
  }
}
