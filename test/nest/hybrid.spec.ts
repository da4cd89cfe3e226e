import 'reflect-metadata';
import { Controller, type INestApplication } from '@nestjs/common';
import { APP_INTERCEPTOR } from '@nestjs/core';
import {
  ClientProxyFactory,
  MessagePattern,
  type MicroserviceOptions,
  Transport,
} from '@nestjs/microservices';
import { Test } from '@nestjs/testing';
import { ResilienceInterceptor, ResilienceModule, TimeoutError } from 'nestjs-bulwark';
import type { AddressInfo, Server } from 'node:net';
import { lastValueFrom } from 'rxjs';
import { settled } from '../support/lab.js';

let tries: number;
@Controller()
class Handlers {
  @MessagePattern('slow')
  async slow(): Promise<never> {
    tries++;
    throw new TimeoutError(5);
  }
}

let app: INestApplication;
beforeEach(async () => {
  tries = 0;
  const retry = ResilienceInterceptor({ retry: { maxAttempts: 2, baseDelay: 0 } });
  const module = await Test.createTestingModule({
    imports: [ResilienceModule.forRoot()],
    controllers: [Handlers],
    providers: [{ provide: APP_INTERCEPTOR, useClass: retry }],
  }).compile();
  app = module.createNestApplication({ logger: false });
});
afterEach(() => app.close());

async function ask(inheritAppConfig: boolean): Promise<unknown> {
  const service = app.connectMicroservice<MicroserviceOptions>(
    { transport: Transport.TCP, options: { host: '127.0.0.1', port: 0 } },
    { inheritAppConfig },
  );
  await app.startAllMicroservices();
  const { port } = service.unwrap<Server>().address() as AddressInfo;
  const options = { host: '127.0.0.1', port };
  const client = ClientProxyFactory.create({ transport: Transport.TCP, options });
  const answer = await settled(lastValueFrom(client.send<unknown>('slow', {})));
  await client.close();
  return answer;
}

describe('a microservice that is connected to an application', () => {
  it('has its filter and its interceptors with inheritAppConfig', async () => {
    const message = 'The service took too long to answer';
    expect(await ask(true)).toEqual({
      error: { status: 'error', message, code: 'RETRY_EXHAUSTED' },
    });
    expect(tries).toBe(2);
  });

  it('has none of them without', async () => {
    const message = 'Internal server error';
    expect(await ask(false)).toEqual({ error: { status: 'error', message } });
    expect(tries).toBe(1);
  });
});
