import 'reflect-metadata';
import { once } from 'node:events';
import { type IncomingMessage, request as send } from 'node:http';
import type { AddressInfo, Server } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { jest } from '@jest/globals';
import { Controller, Get, type INestApplication, UseInterceptors } from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import {
  CircuitBreakerRegistry,
  CircuitProtected,
  RateLimit,
  ResilienceEvents,
  ResilienceInterceptor,
  ResilienceModule,
  Retry,
  TimeLimit,
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
      error: { name: 'AbortError', message: 'Shutting down', cause: down },
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

describe.each(ADAPTERS)('while a server on %s drains', (adapter) => {
  const hang = (): Promise<never> => new Promise(() => undefined);
  @Controller()
  class Routes {
    tries = 0;
    @Get('retry')
    @Retry({ baseDelay: '1h', maxDelay: '1h' })
    retry(): Promise<never> {
      this.tries++;
      return Promise.reject(down);
    }
    @Get('intercepted')
    @UseInterceptors(ResilienceInterceptor('patient'))
    intercepted(): Promise<never> {
      this.tries++;
      return Promise.reject(down);
    }
    @Get('rate-limit')
    @RateLimit({ limit: 1, interval: '1h', maxWait: '1h' })
    async queue(): Promise<string> {
      this.tries++;
      return 'served';
    }
    @Get('deadline')
    @UseInterceptors(ResilienceInterceptor({ circuitBreaker: {} }))
    deadline(): Promise<never> {
      return hang();
    }
    @Get('limit')
    @TimeLimit(100)
    limit(): Promise<never> {
      return hang();
    }
  }
  let app: INestApplication;
  beforeEach(async () => {
    const module = await Test.createTestingModule({
      ...modules(),
      controllers: [Routes],
    }).compile();
    app =
      adapter === 'Express'
        ? module.createNestApplication({ logger: false })
        : module.createNestApplication(new FastifyAdapter(), { logger: false });
    await app.listen(0, '127.0.0.1');
  });
  /** The status of the answer that comes. */
  const ask = async (path: string): Promise<number | undefined> => {
    const { port } = (app.getHttpServer() as Server).address() as AddressInfo;
    const headers = path === 'deadline' ? { 'x-request-timeout-ms': '100' } : {};
    const sent = send(`http://127.0.0.1:${String(port)}/${path}`, { agent: false, headers }).end();
    const [response] = (await once(sent, 'response')) as [IncomingMessage];
    return response.resume().statusCode;
  };
  const turnsUntil = async (isDone: () => boolean): Promise<void> => {
    for (let turn = 0; turn < 2000 && !isDone(); turn++) await nextTurn();
    expect(isDone()).toBe(true);
  };

  it.each(['retry', 'intercepted', 'rate-limit'])(
    'R33: a request that waits (%s) is answered at once and holds nothing up',
    async (path) => {
      if (path === 'rate-limit') expect(await ask(path)).toBe(200);
      const answer = ask(path);
      await turnsUntil(() => lab.clock.pendingTimers === 1);
      let closed = false;
      const closing = app.close().then(() => (closed = true));
      await turnsUntil(() => closed);
      await closing;
      expect(await answer).toBe(503);
      expect(lab.clock.pendingTimers).toBe(0);
      await lab.clock.runAll();
      expect(app.get(Routes).tries).toBe(1);
    },
  );

  it('so too at a signal', async () => {
    const kill = jest.spyOn(process, 'kill').mockReturnValue(true);
    try {
      app.enableShutdownHooks(['SIGTERM']);
      const answer = ask('retry');
      await turnsUntil(() => lab.clock.pendingTimers === 1);
      process.emit('SIGTERM', 'SIGTERM');
      await turnsUntil(() => kill.mock.calls.length > 0);
      expect(await answer).toBe(503);
    } finally {
      kill.mockRestore();
    }
  });

  it.each([
    ['deadline', []],
    ['limit', ['time-limit.exceeded']],
  ])('a request under a %s is answered then, and events are told', async (path, told) => {
    const seen: string[] = [];
    app.get(ResilienceEvents).subscribe({
      next: ({ type }) => seen.push(type),
      complete: () => seen.push('the end'),
    });
    const answer = ask(path);
    await turnsUntil(() => lab.clock.pendingTimers === 1);
    let closed = false;
    const closing = app.close().then(() => (closed = true));
    for (let turn = 0; turn < 50; turn++) await nextTurn();
    expect([closed, seen]).toEqual([false, []]);
    await lab.clock.advance(100);
    expect(await answer).toBe(504);
    await closing;
    expect(seen).toEqual([...told, 'the end']);
  });
});

it.each(['onModuleDestroy', 'beforeApplicationShutdown'])(
  'work that a provider flushes in %s is still retried',
  async (hook) => {
    let outcome: unknown;
    class Outbox {
      #tries = 0;
      @Retry({ baseDelay: 10 })
      async flush(): Promise<string> {
        if (++this.#tries === 1) throw down;
        return 'flushed';
      }
    }
    Object.defineProperty(Outbox.prototype, hook, {
      async value(this: Outbox) {
        outcome = await lab.outcomeOf(this.flush());
      },
    });
    const app = await start({ ...modules(), providers: [Outbox] });
    await app.close();
    expect(outcome).toEqual({ value: 'flushed' });
  },
);
