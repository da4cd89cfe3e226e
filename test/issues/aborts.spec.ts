import 'reflect-metadata';
import { getEventListeners } from 'node:events';
import { type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  AbortError,
  CircuitBreaker,
  ResilienceModule,
  Retry,
  TimeLimit,
  bulkhead,
  currentSignal,
  hedge,
  pipeline,
  retry,
  timeLimit,
} from 'nestjs-bulwark';
import { Observable } from 'rxjs';
import { Lab, deferred, down, settled } from '../support/lab.js';
import { closeAll, start } from '../nest/support/applications.js';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(closeAll);

describe('an abort', () => {
  it('during a back-off is noticed only when the wait is over', async () => {
    let subscriptions = 0;
    class Feed {
      @Retry({ baseDelay: '1h' })
      items(): Observable<string> {
        return new Observable((subscriber) => {
          subscriptions++;
          subscriber.error(down);
        });
      }
    }
    const application = await start({
      imports: [ResilienceModule.forRoot({ runtime: lab.runtime })],
      providers: [Feed],
    });
    const subscription = application.get(Feed).items().subscribe();
    await lab.clock.advance(1000);
    expect(lab.clock.pendingTimers).toBe(1);
    subscription.unsubscribe();
    expect(lab.clock.pendingTimers).toBe(0);
    await lab.clock.runAll();
    expect(subscriptions).toBe(1);
  });

  it.each([new Error('left'), new AbortError('left'), 'left', undefined])(
    'by a caller, with %p, is reported as a time-out',
    async (reason) => {
      const limits = ['outer', 'inner'].map((name) =>
        timeLimit('1s', { name, runtime: lab.runtime }),
      );
      const policy = pipeline(...limits, retry({}, { runtime: lab.runtime }));
      const caller = new AbortController();
      const running = settled(policy.execute(heedful, { signal: caller.signal }));
      await lab.clock.advance(999);
      caller.abort(reason);
      expect(await running).toEqual({ error: caller.signal.reason });
      await lab.clock.runAll();
      for (const limit of limits) expect(limit.snapshot().calls.timed_out).toBe(0);
    },
  );
});

describe('a time-out', () => {
  it('of one call aborts another of the same method', async () => {
    const signals: AbortSignal[] = [];
    class Reports {
      @TimeLimit('1s')
      make(after: Promise<string>): Promise<string> {
        signals.push(currentSignal() as AbortSignal);
        return after;
      }
    }
    const application = await start({
      imports: [ResilienceModule.forRoot({ runtime: lab.runtime })],
      providers: [Reports],
    });
    const reports = application.get(Reports);
    const slow = settled(reports.make(new Promise(() => undefined)));
    await lab.clock.advance(600);
    const report = deferred<string>();
    const quick = reports.make(report.promise);
    await lab.clock.advance(600);
    expect(await slow).toMatchObject({ error: { code: 'TIMEOUT' } });
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
    report.resolve('ready');
    expect(await quick).toBe('ready');
  });
});

describe('a response whose body is still on its way', () => {
  let server: Server;
  let url: string;
  let bodies: ServerResponse[];
  beforeEach(async () => {
    bodies = [];
    server = createServer((_request, response) => {
      bodies.push(response);
      response.write('begun, ');
    });
    await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
    url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/`;
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((closed) => server.close(closed));
  });

  it.each([
    ['the time limit', () => timeLimit('1s', { runtime: lab.runtime })],
    ['a hedge', () => hedge({ delay: '1h' }, { runtime: lab.runtime })],
    ['a limit of each attempt', () => pipeline(retry(), timeLimit('1s', { runtime: lab.runtime }))],
    [
      'all of them, in a bulkhead',
      () => {
        const { runtime } = lab;
        const limit = timeLimit('1s', { runtime });
        return pipeline(bulkhead(), limit, hedge({ delay: '1h' }), new CircuitBreaker(), limit);
      },
    ],
  ])('is cut off by %s after its success', async (_policy, make) => {
    const caller = new AbortController();
    const response = await make().execute(({ signal }) => fetch(url, { signal }), {
      signal: caller.signal,
    });
    await lab.clock.runAll();
    bodies[0]?.end('and ended');
    expect(await response.text()).toBe('begun, and ended');
    expect(getEventListeners(caller.signal, 'abort')).toHaveLength(0);
  });
});

describe('ten thousand calls on one signal', () => {
  it('put ten thousand listeners on it, and warn of a leak', async () => {
    const warnings: Error[] = [];
    const warned = (warning: Error): void => void warnings.push(warning);
    process.on('warning', warned);
    const { runtime } = lab;
    const policy = pipeline(
      bulkhead({ maxConcurrent: 5000, maxQueue: 5000 }, { runtime }),
      retry({ baseDelay: '1h' }, { runtime }),
      timeLimit('2h', { runtime }),
      new CircuitBreaker('b', { failureThreshold: 1e6 }, { runtime }),
    );
    const shutdown = new AbortController();
    const failing = (): Promise<never> => Promise.reject(down);
    const running = Array.from({ length: 10_000 }, (_, call) =>
      settled(policy.execute(call % 2 ? heedful : failing, { signal: shutdown.signal })),
    );
    await lab.clock.advance(1000);
    expect(getEventListeners(shutdown.signal, 'abort').length).toBeLessThanOrEqual(1);
    shutdown.abort(new Error('shutting down'));
    expect(new Set(await Promise.all(running))).toHaveProperty('size', 10_000);
    await lab.clock.advance(0);
    process.off('warning', warned);
    expect(warnings).toEqual([]);
    expect(getEventListeners(shutdown.signal, 'abort')).toHaveLength(0);
    expect(policy.policies[0]?.snapshot()).toMatchObject({ inUse: 0, queued: 0 });
    expect(lab.clock.pendingTimers).toBeLessThanOrEqual(1); // the limit's, which dozes
  });
});

function heedful({ signal }: { signal: AbortSignal }): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error));
  });
}
