import 'reflect-metadata';
import {
  BadRequestException,
  Controller,
  type INestMicroservice,
  type LoggerService,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  type ClientProxy,
  ClientProxyFactory,
  EventPattern,
  MessagePattern,
  type MicroserviceOptions,
  RpcException,
  Transport,
} from '@nestjs/microservices';
import { ResilienceModule, Retry, resilient, retry } from 'nestjs-bulwark';
import type { AddressInfo, Server } from 'node:net';
import { Observable, defer, lastValueFrom, throwError } from 'rxjs';
import { down, settled } from '../support/lab.js';
import { moduleOf } from './support/applications.js';

const twice = { maxAttempts: 2, baseDelay: 0 };
const silent = (): void => undefined;
let thrown: unknown;
let lines: unknown[][];
let events: string[];

@Controller()
class Handlers {
  @MessagePattern('bare')
  async bare(): Promise<never> {
    throw thrown;
  }
  @MessagePattern('retried')
  @Retry(twice)
  async retried(): Promise<never> {
    throw thrown;
  }
  @MessagePattern('retried twice over')
  @Retry({ ...twice, retryOn: () => true })
  @Retry(twice)
  retriedTwiceOver(): Observable<never> {
    return throwError(() => thrown);
  }
  @MessagePattern('events')
  events(): string[] {
    return events;
  }
  @EventPattern('placed')
  placed(order: string): void {
    events.push(order);
  }
}

let service: INestMicroservice;
let client: ClientProxy;
beforeEach(async () => {
  lines = [];
  events = [];
  const logger: LoggerService = {
    log: silent,
    warn: silent,
    error: (...line: unknown[]) => lines.push(line),
  };
  service = await NestFactory.createMicroservice<MicroserviceOptions>(
    moduleOf({ imports: [ResilienceModule.forRoot()], controllers: [Handlers] }),
    { transport: Transport.TCP, options: { host: '127.0.0.1', port: 0 }, logger },
  );
  await service.listen();
  const { port } = service.unwrap<Server>().address() as AddressInfo;
  const options = { host: '127.0.0.1', port };
  client = ClientProxyFactory.create({ transport: Transport.TCP, options });
});
afterEach(async () => {
  await client.close();
  await service.close();
});

const ask = (pattern: string): Promise<unknown> =>
  settled(lastValueFrom(client.send<unknown>(pattern, {})));

describe.each(['retried', 'retried twice over'])('an exhausted retry (%s)', (pattern) => {
  it.each<[string, unknown]>([
    ['a text', new RpcException('no such order')],
    ['an object', new RpcException({ code: 5, message: 'no such order' })],
  ])('of an RpcException with %s is answered as without a retry', async (_what, error) => {
    thrown = error;
    const bare = await ask('bare');
    expect(bare).toHaveProperty('error.message', 'no such order');
    expect(await ask(pattern)).toEqual(bare);
    expect(lines).toEqual([]);
  });

  it('of any error that tells what clients get is answered with that', async () => {
    thrown = Object.assign(new Error('hidden'), { getError: () => ({ code: 14 }) });
    expect(await ask(pattern)).toEqual({ error: { code: 14 } });
  });

  it('of an HttpException has its message', async () => {
    thrown = new BadRequestException('no amount');
    expect(await ask(pattern)).toEqual({
      error: { status: 'error', message: 'no amount', code: 'RETRY_EXHAUSTED' },
    });
  });

  it.each<[string, unknown]>([
    ['another error', down],
    [
      'one that fails to tell',
      Object.assign(new Error('hidden'), {
        getError: () => {
          throw down;
        },
      }),
    ],
  ])('of %s tells nothing of it, but to the log', async (_what, error) => {
    thrown = error;
    const message = 'The service is temporarily unavailable';
    expect(await ask(pattern)).toEqual({
      error: { status: 'error', message, code: 'RETRY_EXHAUSTED' },
    });
    expect(lines).toHaveLength(1);
  });
});

describe('R43: an event under a decorator', () => {
  class Orders {
    tries = 0;
    @Retry(twice)
    announce(order: string): Observable<undefined> {
      if (++this.tries === 1) throw down;
      return client.emit<undefined>('placed', order);
    }
    @Retry(twice)
    async announced(order: string): Promise<void> {
      if (++this.tries === 1) throw down;
      await lastValueFrom(client.emit<undefined>('placed', order), { defaultValue: undefined });
    }
  }
  const arrived = async (): Promise<unknown> => lastValueFrom(client.send<unknown>('events', {}));

  it('is sent for each subscription, and not without one', async () => {
    const orders = new Orders();
    const event = orders.announce('one');
    expect([orders.tries, await arrived()]).toEqual([0, []]);
    await lastValueFrom(event, { defaultValue: undefined });
    expect([orders.tries, await arrived()]).toEqual([2, ['one']]);
    await new Promise<void>((complete) => event.subscribe({ complete }));
    expect(await arrived()).toEqual(['one', 'one']);
  });

  it('is sent by a method that awaits it', async () => {
    await new Orders().announced('one');
    expect(await arrived()).toEqual(['one']);
  });

  it('that is made before its policy is sent once whoever subscribes; `defer` makes one for each', async () => {
    client.emit('placed', 'at once').pipe(resilient(retry(twice)));
    defer(() => client.emit('placed', 'never')).pipe(resilient(retry(twice)));
    expect(await arrived()).toEqual(['at once']);
  });
});
