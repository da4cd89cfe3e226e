import 'reflect-metadata';
import { getEventListeners } from 'node:events';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import { type AddressInfo } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Type } from '@nestjs/common';
import {
  Hedge,
  InjectPolicy,
  type Policy,
  ResilienceModule,
  Retry,
  TimeLimit,
  TimeoutError,
  currentSignal,
} from 'nestjs-bulwark';
import { Observable, defer, lastValueFrom } from 'rxjs';
import { Lab, settled } from '../support/lab.js';
import { closeAll, start } from './support/applications.js';

let lab: Lab;
let server: Dependency;
beforeEach(async () => {
  lab = new Lab();
  server = await Dependency.listen();
});
afterEach(async () => {
  await closeAll();
  await server.close();
});

/** A real server that answers when the test says so, and sees who leaves. */
class Dependency {
  readonly requests: { response: ServerResponse; closed: boolean }[] = [];
  readonly #server = createServer((request, response) => this.#keep(request, response));

  static async listen(): Promise<Dependency> {
    const dependency = new Dependency();
    await new Promise<void>((done) => dependency.#server.listen(0, '127.0.0.1', done));
    return dependency;
  }
  get url(): string {
    return `http://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`;
  }
  /** Whether each request's socket was closed by the client. */
  get closed(): boolean[] {
    return this.requests.map(({ closed }) => closed);
  }
  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((done) => this.#server.close(done));
  }
  #keep(request: IncomingMessage, response: ServerResponse): void {
    const entry = { response, closed: false };
    this.requests.push(entry);
    request.socket.once('close', () => (entry.closed = !response.writableFinished));
  }
}
async function until(isDone: () => boolean): Promise<void> {
  while (!isDone()) await nextTurn();
}
async function made<T>(type: Type<T>): Promise<T> {
  const app = await start({
    imports: [
      ResilienceModule.forRoot({ policies: { quick: { timeLimit: 100 } }, runtime: lab.runtime }),
    ],
    providers: [type],
  });
  return app.get(type);
}

class Client {
  @TimeLimit('100ms')
  async fetched(): Promise<string> {
    const response = await fetch(server.url, { signal: currentSignal() ?? null });
    return response.text();
  }
  @TimeLimit('100ms')
  async afterAnAwait(): Promise<string> {
    await nextTurn();
    await Promise.resolve();
    return this.get();
  }
  @Retry({ maxAttempts: 2, baseDelay: 10, jitter: 0 })
  @TimeLimit('100ms')
  retried(): Promise<string> {
    return this.get();
  }
  @TimeLimit('100ms')
  observed(): Observable<string> {
    return defer(() => this.get());
  }
  @TimeLimit('100ms')
  async *streamed(): AsyncGenerator<string> {
    yield 'first';
    yield await this.get();
  }
  @Hedge({ delay: 50 })
  hedged(): Promise<string> {
    return this.get();
  }
  @Hedge({ delay: 50 })
  hedgedObservable(): Observable<string> {
    return defer(() => this.get());
  }
  private async get(): Promise<string> {
    const response = await fetch(server.url, { signal: currentSignal() ?? null });
    return response.text();
  }
}
const calls: [string, (client: Client) => Promise<unknown>][] = [
  ['fetch at once', (client) => client.fetched()],
  ['fetch after other awaits', (client) => client.afterAnAwait()],
  ['fetch in an Observable', (client) => lastValueFrom(client.observed())],
  [
    'fetch between two items of a generator',
    async (client) => {
      for await (const item of client.streamed()) expect(item).toBe('first');
    },
  ],
];

// Nobody has called currentSignal() in this file before the first of these.
describe('R60: cancellable work under a time limit', () => {
  it.each(calls)('%s: the server sees the socket close', async (_title, call) => {
    const outcome = settled(call(await made(Client)));
    await until(() => server.requests.length === 1);
    await lab.clock.advance(99);
    await nextTurn();
    expect(server.closed).toEqual([false]);
    await lab.clock.advance(1);
    expect(await outcome).toEqual({ error: expect.any(TimeoutError) });
    await until(() => server.closed[0] === true);
  });

  it('each attempt of a retry has a socket of its own, and each is closed', async () => {
    const outcome = settled((await made(Client)).retried());
    for (const attempts of [1, 2]) {
      await until(() => server.requests.length === attempts);
      await lab.clock.advance(110);
    }
    expect(await outcome).toMatchObject({ error: { reason: 'attempts', cause: { timeout: 100 } } });
    await until(() => server.closed.every(Boolean));
    expect(server.requests).toHaveLength(2);
  });
});

describe('R64: the loser of a hedge', () => {
  it.each<[string, (client: Client) => Promise<unknown>]>([
    ['a promise', (client) => client.hedged()],
    ['an Observable', (client) => lastValueFrom(client.hedgedObservable())],
  ])('is aborted, seen at the server: %s', async (_title, call) => {
    const running = call(await made(Client));
    await until(() => server.requests.length === 1);
    await lab.clock.advance(50);
    await until(() => server.requests.length === 2);
    server.requests[1]?.response.end('hedge');
    expect(await running).toBe('hedge');
    await until(() => server.closed[0] === true);
    expect(server.closed).toEqual([true, false]);
  });
});

describe("a caller's signal", () => {
  class Caller {
    @InjectPolicy('quick') readonly policy!: Policy;
    readonly client = new Client();
  }
  const reason = new Error('the user left');

  it('ends the call with its own reason, not with a time-out, and closes the socket', async () => {
    const { policy } = await made(Caller);
    const controller = new AbortController();
    const outcome = settled(
      policy.execute(({ signal }) => fetch(server.url, { signal }), { signal: controller.signal }),
    );
    await until(() => server.requests.length === 1);
    controller.abort(reason);
    expect(await outcome).toEqual({ error: reason });
    await lab.clock.advance(1000);
    await until(() => server.closed[0] === true);
    expect(policy.parts()[0]?.snapshot()).toMatchObject({ calls: { timed_out: 0 } });
  });

  it('shared by 10,000 calls keeps no listener of theirs', async () => {
    const { policy } = await made(Caller);
    const { signal } = new AbortController();
    const running: Promise<boolean>[] = [];
    for (let each = 0; each < 10_000; each++) {
      running.push(policy.execute(async () => currentSignal()?.aborted ?? true, { signal }));
    }
    expect(getEventListeners(signal, 'abort').length).toBeLessThanOrEqual(1);
    expect(new Set(await Promise.all(running))).toEqual(new Set([false]));
    expect(getEventListeners(signal, 'abort')).toHaveLength(0);
  });
});
