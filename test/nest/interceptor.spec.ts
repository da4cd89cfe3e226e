import 'reflect-metadata';
import {
  Controller,
  Get,
  HttpException,
  type INestApplication,
  type INestMicroservice,
  type ModuleMetadata,
  type NestInterceptor,
  NotFoundException,
  Param,
  ParseIntPipe,
  Post,
  Scope,
  type Type,
  UseInterceptors,
} from '@nestjs/common';
import { APP_INTERCEPTOR, NestFactory } from '@nestjs/core';
import {
  type ClientProxy,
  ClientProxyFactory,
  MessagePattern,
  type MicroserviceOptions,
  Transport,
} from '@nestjs/microservices';
import { FileInterceptor } from '@nestjs/platform-express';
import {
  CircuitBreaker,
  CircuitBreakerRegistry,
  type PolicyOptions,
  ResilienceInterceptor,
  ResilienceModule,
  currentAttempt,
  pipeline,
  retry,
} from 'nestjs-bulwark';
import type { AddressInfo, Server } from 'node:net';
import { type Observable, defer, from, lastValueFrom, of, throwError, toArray } from 'rxjs';
import { Lab, down, settled } from '../support/lab.js';
import {
  ADAPTERS,
  closeAll,
  moduleOf,
  request,
  serve,
  throughWaits,
} from './support/applications.js';

let lab: Lab;
let tries: number;
let failures: number;
beforeEach(() => {
  lab = new Lab();
  tries = 0;
  failures = 0;
});
afterEach(closeAll);

const byHand = new CircuitBreaker('by hand');
const resilience = (): Type =>
  ResilienceModule.forRoot({
    circuitBreakers: { stock: { failureThreshold: 2 } },
    retries: { api: { maxAttempts: 3 } },
    policies: { catalog: { circuitBreaker: 'stock', retry: 'api' } },
    runtime: lab.runtime,
  }) as never;

function attempt(): string {
  tries++;
  if (failures-- > 0) throw down;
  return `attempt ${String(currentAttempt())}`;
}

@Controller()
class Routes {
  @Get('plain')
  plain(): string {
    return attempt();
  }
  @Get('promise')
  async promise(): Promise<string> {
    return attempt();
  }
  @Get('observable')
  observable(): Observable<string> {
    return defer(() => of(attempt()));
  }
  @Get('missing')
  missing(): string {
    tries++;
    throw new NotFoundException('no such item');
  }
}
const handlers = ['plain', 'promise', 'observable'];

const statsOf = (app: INestApplication | INestMicroservice, name = 'stock'): object =>
  [...app.get(CircuitBreakerRegistry)].find((breaker) => breaker.name === name)?.stats ?? {};

function routesWith(interceptor: Type<NestInterceptor>): Type {
  @Controller()
  @UseInterceptors(interceptor)
  class Guarded extends Routes {}
  return Guarded;
}

describe.each(ADAPTERS)('an interceptor with the name of a policy, on %s', (adapter) => {
  const start = (metadata: ModuleMetadata): Promise<INestApplication> =>
    serve({ ...metadata, imports: [resilience()] }, adapter);

  it.each(handlers)('runs a handler again that fails: %s', async (path) => {
    const app = await start({ controllers: [routesWith(ResilienceInterceptor('catalog'))] });
    failures = 1;
    const response = await throughWaits(lab, request(app).get(`/${path}`).expect(200));
    expect(response.text).toBe('attempt 2');
    expect(tries).toBe(2);
    expect(statsOf(app)).toMatchObject({ failedCalls: 1, successfulCalls: 1 });
  });

  it.each(handlers)('an open circuit keeps requests from the handler: %s', async (path) => {
    const app = await start({ controllers: [routesWith(ResilienceInterceptor('catalog'))] });
    app.get(CircuitBreakerRegistry).get('stock').isolate();
    await request(app).get(`/${path}`).expect(503);
    expect(tries).toBe(0);
  });

  it('hands on an exception that nothing retries', async () => {
    const app = await start({
      controllers: [routesWith(ResilienceInterceptor({ circuitBreaker: 'stock' }))],
    });
    await request(app).get('/missing').expect(404);
    expect(statsOf(app)).toMatchObject({ failedCalls: 1 });
  });
});

describe('an interceptor takes', () => {
  it.each<[string, Parameters<typeof ResilienceInterceptor>[0], number]>([
    ['the name of a policy', 'catalog', 2],
    ['parts in the fixed order', { circuitBreaker: 'stock', retry: { maxAttempts: 5 } }, 2],
    ['a list, outermost first', [{ circuitBreaker: 'stock' }, { retry: { maxAttempts: 5 } }], 5],
    ['a policy made by hand', retry({ maxAttempts: 4, baseDelay: 0 }), 4],
    ['a pipeline made by hand', pipeline(retry({ maxAttempts: 2, baseDelay: 0 }), byHand), 2],
  ])('%s', async (_title, policy, expected) => {
    const app = await serve({
      imports: [resilience()],
      controllers: [routesWith(ResilienceInterceptor(policy))],
    });
    failures = Infinity;
    await throughWaits(lab, request(app).get('/promise').expect(503));
    expect(tries).toBe(expected);
  });
});

describe('an interceptor stands', () => {
  it('on a route, and leaves the others alone', async () => {
    @Controller()
    class Mixed {
      @UseInterceptors(ResilienceInterceptor('catalog'))
      @Get('one')
      one(): string {
        return attempt();
      }
      @Get('other')
      other(): string {
        return attempt();
      }
    }
    const app = await serve({ imports: [resilience()], controllers: [Mixed] });
    await request(app).get('/one').expect(200, 'attempt 1');
    await request(app).get('/other').expect(200, 'attempt undefined');
    expect(statsOf(app)).toMatchObject({ totalCalls: 1 });
  });

  it.each([Scope.DEFAULT, Scope.REQUEST])('on a controller in scope %s', async (scope) => {
    @Controller({ path: 'scoped', scope })
    @UseInterceptors(ResilienceInterceptor('catalog'))
    class Scoped extends Routes {}
    const app = await serve({ imports: [resilience()], controllers: [Scoped] });
    for (const path of handlers) await request(app).get(`/scoped/${path}`).expect(200);
    expect(statsOf(app)).toMatchObject({ successfulCalls: 3 });
  });

  it('around the whole application, as APP_INTERCEPTOR', async () => {
    const app = await serve({
      imports: [resilience(), moduleOf({ controllers: [Routes] })],
      providers: [{ provide: APP_INTERCEPTOR, useClass: ResilienceInterceptor('catalog') }],
    });
    for (const path of handlers) await request(app).get(`/${path}`).expect(200, 'attempt 1');
    expect(statsOf(app)).toMatchObject({ successfulCalls: 3 });
  });

  it('around another one, which a retry runs again', async () => {
    const order: string[] = [];
    class Inner implements NestInterceptor {
      intercept(_context: unknown, next: { handle(): Observable<unknown> }): Observable<unknown> {
        order.push('inner');
        return next.handle();
      }
    }
    @Controller()
    class Both {
      @UseInterceptors(ResilienceInterceptor('catalog'), Inner)
      @Get()
      get(): string {
        order.push('handler');
        return attempt();
      }
    }
    const app = await serve({ imports: [resilience()], controllers: [Both] });
    failures = 1;
    await throughWaits(lab, request(app).get('/').expect(200));
    expect(order).toEqual(['inner', 'handler', 'inner', 'handler']);
  });
});

describe('an interceptor around what a client did wrong', () => {
  const isClientError = (error: unknown): boolean =>
    error instanceof HttpException && error.getStatus() < 500;
  @Controller()
  class Items {
    @Get(':id')
    item(@Param('id', ParseIntPipe) id: number): never {
      tries++;
      if (id === 0) throw down;
      throw new NotFoundException();
    }
    @Post()
    @UseInterceptors(
      ResilienceInterceptor({ retry: { maxAttempts: 2, baseDelay: 0 } }),
      FileInterceptor('file'),
    )
    upload(): never {
      tries++;
      throw down;
    }
  }
  const serveUnder = (policy: PolicyOptions): Promise<INestApplication> =>
    serve({
      imports: [resilience()],
      controllers: [Items],
      providers: [{ provide: APP_INTERCEPTOR, useClass: ResilienceInterceptor(policy) }],
    });

  it.each([
    ['pipe', '/seven', 400],
    ['handler', '/7', 404],
  ])('counts the exception of a %s like any error', async (_whose, path, status) => {
    const app = await serveUnder({ circuitBreaker: 'stock' });
    for (let call = 0; call < 2; call++) await request(app).get(path).expect(status);
    await request(app).get(path).expect(503);
  });

  it('neither counts nor retries it under filters that say so', async () => {
    const app = await serveUnder({
      retry: { maxAttempts: 2, baseDelay: 0, abortOn: isClientError },
      circuitBreaker: { failureThreshold: 2, ignoreExceptions: isClientError },
    });
    for (let call = 0; call < 5; call++) {
      await request(app).get('/seven').expect(400);
      await request(app).get('/7').expect(404);
    }
    expect(tries).toBe(5);
    await throughWaits(lab, request(app).get('/0').expect(503));
    await request(app).get('/7').expect(503);
    expect(tries).toBe(7);
  });

  it('has an inner interceptor run again, which finds no body any more', async () => {
    const app = await serve({ imports: [resilience()], controllers: [Items] });
    const upload = request(app).post('/').attach('file', Buffer.from('hello'), 'hello.txt');
    await throughWaits(lab, upload.expect(400));
    expect(tries).toBe(1);
  });
});

describe('interceptors and breakers', () => {
  it('routes of one interceptor class share its anonymous breaker; two classes do not', async () => {
    const one = ResilienceInterceptor({ circuitBreaker: { failureThreshold: 1 } });
    @Controller()
    class Three {
      @UseInterceptors(one)
      @Get('a')
      a(): string {
        return attempt();
      }
      @UseInterceptors(one)
      @Get('b')
      b(): string {
        return attempt();
      }
      @UseInterceptors(ResilienceInterceptor({ circuitBreaker: { failureThreshold: 1 } }))
      @Get('c')
      c(): string {
        return attempt();
      }
    }
    const app = await serve({ imports: [resilience()], controllers: [Three] });
    failures = 1;
    await request(app).get('/a').expect(500);
    await request(app).get('/b').expect(503);
    await request(app).get('/c').expect(200);
  });

  it("R63: its fallback gets the error and Nest's handle of the call, not the request", async () => {
    const seen: unknown[][] = [];
    const fallback = (...args: unknown[]): string => {
      seen.push(args);
      return 'instead';
    };
    const Guarded = routesWith(ResilienceInterceptor({ fallback }));
    const app = await serve({ imports: [resilience()], controllers: [Guarded] });
    failures = 1;
    await request(app).get('/plain').expect(200, 'instead');
    expect(seen).toEqual([[down, { handle: expect.any(Function) as unknown }]]);
  });

  it('R32: one interceptor class in two applications has two breakers', async () => {
    const Guarded = routesWith(ResilienceInterceptor({ circuitBreaker: { failureThreshold: 1 } }));
    const one = await serve({ imports: [resilience()], controllers: [Guarded] });
    const other = await serve({ imports: [resilience()], controllers: [Guarded] });
    failures = 1;
    await request(one).get('/plain').expect(500);
    await request(one).get('/plain').expect(503);
    await request(other).get('/plain').expect(200);
  });
});

describe('an interceptor in a microservice over TCP', () => {
  @Controller()
  @UseInterceptors(ResilienceInterceptor('catalog'))
  class Handlers {
    @MessagePattern('plain')
    plain(): string {
      return attempt();
    }
    @MessagePattern('promise')
    async promise(): Promise<string> {
      return attempt();
    }
    @MessagePattern('many')
    many(): Observable<string> {
      return defer(() => from([attempt(), 'second']));
    }
    @MessagePattern('fails')
    fails(): Observable<never> {
      tries++;
      return throwError(() => down);
    }
  }
  let service: INestMicroservice;
  let client: ClientProxy;
  beforeEach(async () => {
    service = await NestFactory.createMicroservice<MicroserviceOptions>(
      moduleOf({ imports: [resilience()], controllers: [Handlers] }),
      { transport: Transport.TCP, options: { host: '127.0.0.1', port: 0 }, logger: false },
    );
    await service.listen();
    const { port } = service.unwrap<Server>().address() as AddressInfo;
    client = ClientProxyFactory.create({
      transport: Transport.TCP,
      options: { host: '127.0.0.1', port },
    });
  });
  afterEach(async () => {
    await client.close();
    await service.close();
  });
  const send = (pattern: string): Promise<unknown> =>
    throughWaits(lab, lastValueFrom(client.send<unknown>(pattern, {}).pipe(toArray())));

  it.each([
    ['plain', ['attempt 2']],
    ['promise', ['attempt 2']],
    ['many', ['attempt 2', 'second']],
  ])('runs a handler again that fails: %s', async (pattern, items) => {
    failures = 1;
    expect(await send(pattern)).toEqual(items);
    expect(tries).toBe(2);
    expect(statsOf(service)).toMatchObject({ failedCalls: 1, successfulCalls: 1 });
  });

  it('an open circuit answers with an error, and not for ever', async () => {
    const failing = await settled(send('fails'));
    expect(failing).toHaveProperty('error');
    expect(tries).toBe(2);
    expect(await settled(send('plain'))).toHaveProperty('error');
    expect(tries).toBe(2);
  });
});
