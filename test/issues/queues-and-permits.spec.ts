import 'reflect-metadata';
import {
  Bulkhead,
  type BulkheadPolicy,
  CircuitBreakerRegistry,
  CircuitProtected,
  RateLimit,
  ResilienceModule,
  bulkhead,
  rateLimit,
} from 'nestjs-bulwark';
import { Observable, defer, firstValueFrom, NEVER, of } from 'rxjs';
import { type Deferred, Lab, deferred, settled } from '../support/lab.js';
import { closeAll, start } from '../nest/support/applications.js';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(closeAll);

describe('a permit of a stream', () => {
  it('is taken when the stream is assembled, and lost when nobody subscribes', async () => {
    let subscriptions = 0;
    const slots: BulkheadPolicy = bulkhead({ maxConcurrent: 2 }, { runtime: lab.runtime });
    const tokens = rateLimit({ limit: 2, interval: '1h' }, { runtime: lab.runtime });
    class Feed {
      @CircuitProtected('feed')
      @Bulkhead(slots)
      @RateLimit(tokens)
      items(): Observable<string> {
        return defer(() => {
          subscriptions++;
          return NEVER;
        });
      }
    }
    const application = await start({
      imports: [ResilienceModule.forRoot({ circuitBreakers: { feed: {} }, runtime: lab.runtime })],
      providers: [Feed],
    });
    const feed = application.get(CircuitBreakerRegistry).get('feed');
    const streams = Array.from({ length: 10 }, () => application.get(Feed).items());
    expect(feed.stats.totalCalls).toBe(0);
    expect([slots.snapshot().inUse, tokens.snapshot().tokens]).toEqual([0, 2]);

    const twice = [streams[9]?.subscribe(), streams[9]?.subscribe()];
    expect([slots.snapshot().inUse, tokens.snapshot().tokens]).toEqual([2, 0]);
    await expect(firstValueFrom(streams[0] ?? of())).rejects.toMatchObject({
      code: 'BULKHEAD_FULL',
    });
    for (const subscription of twice) subscription?.unsubscribe();
    await lab.clock.advance(0);
    expect(slots.snapshot().inUse).toBe(0);
    expect(feed.stats).toMatchObject({
      totalCalls: 3,
      inFlight: 0,
    });
    expect(subscriptions).toBe(2);
  });
});

describe('a queue', () => {
  it('is overtaken by a call that comes in the very turn in which a slot becomes free', async () => {
    const started: string[] = [];
    const work = new Map<string, Deferred<string>>();
    class Printer {
      @Bulkhead({ maxConcurrent: 1, maxQueue: 10 })
      print(page: string): Promise<string> {
        started.push(page);
        const printed = deferred<string>();
        work.set(page, printed);
        return printed.promise;
      }
    }
    const application = await start({
      imports: [ResilienceModule.forRoot({ runtime: lab.runtime })],
      providers: [Printer],
    });
    const printer = application.get(Printer);
    const first = printer.print('first');
    const impatient = first.then(() => printer.print('impatient'));
    for (const page of ['second', 'third']) void settled(printer.print(page));
    void settled(impatient);
    for (const page of ['first', 'second', 'third']) {
      work.get(page)?.resolve(page);
      void settled(printer.print(`after ${page}`));
      await lab.clock.advance(0);
    }
    expect(started).toEqual(['first', 'second', 'third', 'after first']);
    work.get('after first')?.resolve('done');
    await lab.clock.advance(0);
    expect(started.at(-1)).toBe('impatient');
  });

  it('for tokens is overtaken by a call that comes just when a token does', async () => {
    const started: string[] = [];
    const { runtime } = lab;
    const limit = rateLimit({ limit: 1, interval: '1s', maxWait: '1m' }, { runtime });
    const call = (name: string): void => void settled(limit.execute(() => started.push(name)));
    for (const name of ['first', 'second', 'third']) call(name);
    lab.clock.jump(1000); // the token is there, and its timer late
    call('impatient');
    await lab.clock.runAll();
    expect(started).toEqual(['first', 'second', 'third', 'impatient']);
  });
});
