import 'reflect-metadata';
import { Controller, Get, type INestApplication, UseInterceptors } from '@nestjs/common';
import {
  CircuitBreakerRegistry,
  CircuitProtected,
  ResilienceInterceptor,
  ResilienceModule,
  Retry,
} from 'nestjs-bulwark';
import { type Observable, defer, lastValueFrom, of, throwError } from 'rxjs';
import { Lab, down, settled } from '../support/lab.js';
import { ADAPTERS, closeAll, request, serve, start } from './support/applications.js';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(closeAll);

class Client {
  tries = 0;
  @Retry({ maxAttempts: 5, baseDelay: '1h', maxDelay: '1h' })
  @CircuitProtected('payments')
  call(): Promise<never> {
    this.tries++;
    return Promise.reject(down);
  }
  @Retry({ maxAttempts: 5, baseDelay: '1h', maxDelay: '1h' })
  stream(): Observable<never> {
    return defer(() => {
      this.tries++;
      return throwError(() => down);
    });
  }
  @Retry({ maxAttempts: 5, baseDelay: '1h', maxDelay: '1h' })
  async *rows(): AsyncGenerator<never> {
    this.tries++;
    yield await Promise.reject(down);
  }
}
const modules = (): { imports: never[] } => ({
  imports: [
    ResilienceModule.forRoot({
      circuitBreakers: { payments: { failureThreshold: 1 } },
      policies: { patient: { retry: { baseDelay: '1h', maxDelay: '1h' } } },
      runtime: lab.runtime,
    }) as never,
  ],
});

describe('R33: app.close()', () => {
  it.each<[string, (client: Client) => Promise<unknown>]>([
    ['a promise', (client) => client.call()],
    ['an Observable', (client) => lastValueFrom(client.stream())],
    ['an async iterable', (client) => client.rows().next()],
  ])('ends a retry of %s that waits, and its timer', async (_kind, call) => {
    const app = await start({ ...modules(), providers: [Client] });
    const client = app.get(Client);
    const running = settled(call(client));
    await lab.clock.advance(10);
    expect(lab.clock.pendingTimers).toBe(1);
    await app.close();
    expect(lab.clock.pendingTimers).toBe(0);
    expect(await running).toMatchObject({
      error: { name: 'AbortError', message: 'Shutting down' },
    });
    await lab.clock.runAll();
    expect(client.tries).toBe(1);
  });

  it('ends one that begins to wait afterwards', async () => {
    const app = await start({ ...modules(), providers: [Client] });
    const client = app.get(Client);
    await app.close();
    expect(await settled(client.call())).toMatchObject({ error: { name: 'AbortError' } });
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('leaves no timer of breakers that are open', async () => {
    const app = await start({ ...modules(), providers: [Client] });
    const breaker = app.get(CircuitBreakerRegistry).get('payments');
    await settled(breaker.execute(() => Promise.reject(down)));
    expect(breaker.state).toBe('open');
    expect(lab.clock.pendingTimers).toBe(0);
    await app.close();
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('touches no other application', async () => {
    const [one, other] = [
      await start({ ...modules(), providers: [Client] }),
      await start({ ...modules(), providers: [Client] }),
    ];
    const running = settled(other.get(Client).call());
    await lab.clock.advance(10);
    await one.close();
    expect(lab.clock.pendingTimers).toBe(1);
    await other.close();
    await running;
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('can be called twice', async () => {
    const app = await start(modules());
    await app.close();
    await expect(app.close()).resolves.toBeUndefined();
  });
});

describe.each(ADAPTERS)('R33: with a server on %s and the real clock', (adapter) => {
  @Controller()
  class Routes {
    @UseInterceptors(ResilienceInterceptor({ retry: { maxAttempts: 3, baseDelay: 1 } }))
    @Get()
    @CircuitProtected('payments')
    list(): Promise<never> {
      return Promise.reject(down);
    }
    @Get('stream')
    @Retry()
    stream(): Observable<string> {
      return of('fine');
    }
  }
  /** Timers and sockets; files that jest reads come and go. */
  const resources = (): string[] =>
    process.getActiveResourcesInfo().filter((name) => /Timeout|TCP|Interval|Signal/.test(name));
  /** The other end of a closed connection takes some turns of the event loop. */
  const leftOver = async (known: number): Promise<string[]> => {
    for (let turn = 0; turn < 1000 && resources().length > known; turn++)
      await new Promise((resolve) => setImmediate(resolve));
    return resources().slice(known);
  };
  const signals = (): number[] =>
    ['SIGTERM', 'SIGINT', 'uncaughtException', 'unhandledRejection', 'exit'].map((name) =>
      process.listenerCount(name),
    );

  it('no timer, listener or handle is left', async () => {
    const serveOnce = async (): Promise<INestApplication> =>
      serve(
        {
          imports: [ResilienceModule.forRoot({ circuitBreakers: { payments: {} } })],
          controllers: [Routes],
        },
        adapter,
      );
    await (await serveOnce()).close();
    await leftOver(0);
    const [before, listening] = [resources().length, signals()];
    const app = await serveOnce();
    await request(app).get('/').expect(503);
    await request(app).get('/stream').expect(200);
    await app.close();
    expect(await leftOver(before)).toEqual([]);
    expect(signals()).toEqual(listening);
  });
});
