import 'reflect-metadata';
import { type INestApplication, type Type, UseFilters, UseInterceptors } from '@nestjs/common';
import { IoAdapter } from '@nestjs/platform-socket.io';
import { WsAdapter } from '@nestjs/platform-ws';
import { Test } from '@nestjs/testing';
import {
  MessageBody,
  type OnGatewayConnection,
  type OnGatewayDisconnect,
  type OnGatewayInit,
  SubscribeMessage,
  WebSocketGateway,
  WsException,
} from '@nestjs/websockets';
import {
  CircuitBreakerError,
  CircuitBreakerRegistry,
  CircuitProtected,
  ResilienceConfigError,
  ResilienceExceptionFilter,
  ResilienceInterceptor,
  ResilienceModule,
  Retry,
  RetryExhaustedError,
  TimeoutError,
  currentAttempt,
} from 'nestjs-bulwark';
import { once } from 'node:events';
import { type Observable, concat, defer, of, throwError } from 'rxjs';
import { io } from 'socket.io-client';
import { WebSocket } from 'ws';
import { Lab, deferred, down } from '../support/lab.js';
import { throughWaits } from './support/applications.js';

const SECRET = 'internal-payments';

let lab: Lab;
let tries: number;
let failures: number;
let thrown: unknown;
let app: INestApplication | undefined;
const clients: Pick<Client, 'close'>[] = [];
beforeEach(() => {
  lab = new Lab();
  tries = 0;
  failures = 0;
});
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
  await app?.close();
});

function attempt(): string {
  tries++;
  if (failures-- > 0) throw down;
  return `attempt ${String(currentAttempt())}`;
}
const answered = (data: string): Message => ({ event: 'answer', data });

class Handlers {
  @SubscribeMessage('plain')
  @UseInterceptors(ResilienceInterceptor('catalog'))
  plain(): Message {
    return answered(attempt());
  }
  @SubscribeMessage('promise')
  @UseInterceptors(ResilienceInterceptor('catalog'))
  async promise(): Promise<Message> {
    return answered(attempt());
  }
  @SubscribeMessage('observable')
  @UseInterceptors(ResilienceInterceptor('catalog'))
  observable(): Observable<Message> {
    return defer(() => of(answered(attempt()), answered('second')));
  }
  @Retry('api')
  @CircuitProtected('stock')
  @SubscribeMessage('decorated')
  async decorated(@MessageBody('sku') sku: string): Promise<Message> {
    return answered(`${sku}: ${attempt()}`);
  }
  @SubscribeMessage('decorated observable')
  @Retry('api')
  @CircuitProtected('stock')
  decoratedObservable(): Observable<Message> {
    return defer(() => of(answered(attempt()), answered('second')));
  }

  @SubscribeMessage('fails')
  async fails(): Promise<never> {
    throw thrown;
  }
  @SubscribeMessage('fails late')
  failsLate(): Observable<Message> {
    return concat(
      of(answered('first')),
      throwError(() => thrown),
    );
  }
}

@WebSocketGateway()
@UseFilters(ResilienceExceptionFilter)
class Gateway extends Handlers {}

@WebSocketGateway()
class Unfiltered extends Handlers {}

interface Message {
  readonly event: string;
  readonly data: unknown;
}
interface Client {
  send(event: string, data: unknown): void;
  close(): Promise<unknown>;
}

async function urlOf(application: INestApplication | undefined): Promise<string> {
  return (await application?.getUrl()) ?? '';
}

/** Opens a connection and hands on what comes over it. */
type Connect = (url: string, receive: (message: Message) => void) => Promise<Client>;

const transports: [string, (app: INestApplication) => WsAdapter | IoAdapter, Connect][] = [
  [
    'ws',
    (application) => new WsAdapter(application),
    async (url, receive) => {
      const socket = new WebSocket(url.replace('http', 'ws'));
      socket.on('message', (text: Buffer) => receive(JSON.parse(text.toString()) as Message));
      await once(socket, 'open');
      return {
        send: (event, data) => socket.send(JSON.stringify({ event, data })),
        close: () => {
          socket.close();
          return once(socket, 'close');
        },
      };
    },
  ],
  [
    'Socket.IO',
    (application) => new IoAdapter(application),
    async (url, receive) => {
      const socket = io(url, { transports: ['websocket'] });
      socket.onAny((event: string, data: unknown) => receive({ event, data }));
      await new Promise((resolve) => socket.on('connect', () => resolve(undefined)));
      return {
        send: (event, data) => void socket.emit(event, data),
        close: () => {
          const closed = new Promise((resolve) => socket.on('disconnect', resolve));
          socket.disconnect();
          return closed;
        },
      };
    },
  ],
];

describe.each(transports)('over %s', (transport, adapterFor, connect) => {
  async function serve(gateway: Type = Gateway, mapErrors = true): Promise<void> {
    const resilience = ResilienceModule.forRoot({
      circuitBreakers: { stock: { failureThreshold: 2 } },
      retries: { api: { maxAttempts: 3 } },
      policies: { catalog: { circuitBreaker: 'stock', retry: 'api' } },
      runtime: lab.runtime,
      http: { mapErrors },
    });
    const module = await Test.createTestingModule({
      imports: [resilience],
      providers: [gateway],
    }).compile();
    app = module.createNestApplication({ logger: false });
    app.useWebSocketAdapter(adapterFor(app));
    await app.listen(0, '127.0.0.1');
  }

  /** Sends one message, and gives the messages that come back for it. */
  async function ask(event: string, count = 1): Promise<Message[]> {
    const messages: Message[] = [];
    const all = deferred();
    const client = await connect(await urlOf(app), (message) => {
      if (messages.push(message) === count) all.resolve(undefined);
    });
    clients.push(client, { close: async () => all.reject(new Error('It was not answered')) });
    client.send(event, { sku: 'p1' });
    await throughWaits(lab, all.promise);
    return messages;
  }

  it.each([
    ['plain', ['attempt 2']],
    ['promise', ['attempt 2']],
    ['observable', ['attempt 2', 'second']],
    ['decorated', ['p1: attempt 2']],
    ['decorated observable', ['attempt 2', 'second']],
  ])('runs a handler again that fails: %s', async (event, expected) => {
    await serve();
    failures = 1;
    expect(await ask(event, expected.length)).toEqual(expected.map(answered));
    expect(tries).toBe(2);
    expect(app?.get(CircuitBreakerRegistry).get('stock').stats).toMatchObject({
      failedCalls: 1,
      successfulCalls: 1,
    });
  });

  it('R44: a decorator on a gateway leaves its lifecycle hooks alone', async () => {
    const hooks: string[] = [];
    const left = deferred();
    @CircuitProtected('stock')
    @WebSocketGateway()
    class Watched implements OnGatewayInit, OnGatewayConnection, OnGatewayDisconnect {
      constructor(breakers: CircuitBreakerRegistry) {
        breakers.get('stock').isolate();
      }
      afterInit(): void {
        hooks.push('afterInit');
      }
      handleConnection(): void {
        hooks.push('handleConnection');
      }
      handleDisconnect(): void {
        hooks.push('handleDisconnect');
        left.resolve(undefined);
      }
      @SubscribeMessage('any')
      any(): Message {
        return answered(attempt());
      }
    }
    await serve(Watched);
    const client = await connect(await urlOf(app), () => undefined);
    await client.close();
    await left.promise;
    expect(hooks).toEqual(['afterInit', 'handleConnection', 'handleDisconnect']);
    expect(app?.get(CircuitBreakerRegistry).get('stock').stats.totalCalls).toBe(0);
  });

  it.each(['plain', 'observable', 'decorated', 'decorated observable'])(
    'an open circuit answers with an exception that names no breaker: %s',
    async (event) => {
      await serve();
      failures = 2;
      const expected = {
        event: 'exception',
        data: {
          status: 'error',
          message: 'The service is temporarily unavailable',
          code: 'CIRCUIT_OPEN',
          retryAfter: 30_000,
          cause: { pattern: event, data: { sku: 'p1' } },
        },
      };
      expect(await ask(event)).toEqual([expected]);
      expect(await ask(event)).toEqual([expected]);
      expect(tries).toBe(2);
    },
  );

  it.each([
    [
      'a time limit',
      new TimeoutError(5),
      { code: 'TIMEOUT', message: 'The service took too long to answer' },
    ],
    [
      'bad options',
      new ResilienceConfigError([SECRET]),
      { code: 'INVALID_CONFIG', message: 'Internal server error' },
    ],
  ])('answers with an exception: %s', async (_what, error, told) => {
    await serve();
    thrown = error;
    const cause = { pattern: 'fails', data: { sku: 'p1' } };
    const data = { status: 'error', ...told, cause };
    expect(await ask('fails')).toEqual([{ event: 'exception', data }]);
  });

  it.each<[string, WsException, object]>([
    [
      'a text',
      new WsException('no such order'),
      {
        status: 'error',
        message: 'no such order',
        cause: { pattern: 'fails', data: { sku: 'p1' } },
      },
    ],
    ['an object', new WsException({ why: 'no such order' }), { why: 'no such order' }],
  ])('an exhausted retry of a WsException with %s answers with it', async (_what, error, data) => {
    await serve();
    thrown = new RetryExhaustedError({ attempts: 3, lastException: error });
    expect(await ask('fails')).toEqual([{ event: 'exception', data }]);
  });

  it('an Observable that fails later answers so after its items', async () => {
    await serve();
    thrown = new CircuitBreakerError(SECRET);
    expect(await ask('fails late', 2)).toMatchObject([
      answered('first'),
      { event: 'exception', data: { code: 'CIRCUIT_OPEN' } },
    ]);
  });

  it('a filter that a gateway names answers without mapErrors too', async () => {
    await serve(Gateway, false);
    thrown = new TimeoutError(5);
    expect(await ask('fails')).toMatchObject([{ event: 'exception', data: { code: 'TIMEOUT' } }]);
  });

  // By itself Nest 11 tells a native WebSocket nothing.
  const nestAnswers = transport !== 'ws' || process.env['NEST_MAJOR'] !== '11';
  const itWhereNestAnswers = nestAnswers ? it : it.skip;

  itWhereNestAnswers('other errors are left to Nest', async () => {
    await serve();
    thrown = down;
    expect(await ask('fails')).toMatchObject([
      { event: 'exception', data: { message: 'Internal server error' } },
    ]);
  });

  itWhereNestAnswers('without the filter Nest answers, which names no breaker either', async () => {
    await serve(Unfiltered);
    thrown = new CircuitBreakerError(SECRET);
    const answers = await ask('fails');
    expect(answers).toMatchObject([
      { event: 'exception', data: { message: 'Internal server error' } },
    ]);
    expect(JSON.stringify(answers)).not.toContain(SECRET);
  });
});
