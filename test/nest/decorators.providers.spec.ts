import 'reflect-metadata';
import { jest } from '@jest/globals';
import {
  Controller,
  Get,
  Inject,
  Injectable,
  type ModuleMetadata,
  type OnModuleInit,
  Scope,
  UseInterceptors,
} from '@nestjs/common';
import { ContextIdFactory, ModuleRef } from '@nestjs/core';
import type { TestingModule } from '@nestjs/testing';
import {
  CircuitBreakerRegistry,
  CircuitProtected,
  Hedge,
  RateLimit,
  ResilienceInterceptor,
  ResilienceModule,
  Resilient,
  Retry,
} from 'nestjs-bulwark';
import { resetDefaultRegistry } from 'nestjs-bulwark/testing';
import { Lab, settled } from '../support/lab.js';
import { closeAll, moduleOf, request, serve, start } from './support/applications.js';

let lab: Lab;
let warnings: jest.SpiedFunction<typeof console.warn>;
beforeEach(() => {
  lab = new Lab();
  warnings = jest.spyOn(console, 'warn').mockImplementation(() => undefined);
});
afterEach(() => {
  warnings.mockRestore();
});
afterEach(closeAll);
afterEach(resetDefaultRegistry);

class Orders {
  @CircuitProtected('payments')
  async charge(error?: Error): Promise<string> {
    if (error) throw error;
    return 'charged';
  }
}
@Injectable()
class Singleton extends Orders {}
@Injectable({ scope: Scope.REQUEST })
class PerRequest extends Orders {}
@Injectable({ scope: Scope.TRANSIENT })
class Transient extends Orders {}
@Controller()
class Route extends Orders {}
@Controller({ scope: Scope.REQUEST })
class RoutePerRequest extends Orders {}
class Frozen extends Orders {
  constructor() {
    super();
    Object.freeze(this);
  }
}
@Injectable()
class Holder {
  constructor(@Inject('made') readonly made: Orders) {}
}

const made = (factory: object): ModuleMetadata => ({
  providers: [{ provide: 'made', ...factory } as never],
});
const factory = { useFactory: (): Orders => new Orders() };

type Obtain = (app: TestingModule) => Orders | Promise<Orders>;
const lastOf = (list: Orders[]): Orders => list.at(-1) as Orders;
const kinds: [string, ModuleMetadata, Obtain][] = [
  ['a singleton', { providers: [Singleton] }, (app) => app.get(Singleton)],
  ['a request-scoped provider', { providers: [PerRequest] }, (app) => app.resolve(PerRequest)],
  ['a transient provider', { providers: [Transient] }, (app) => app.resolve(Transient)],
  ['a controller', { controllers: [Route] }, (app) => app.get(Route)],
  [
    'a request-scoped controller',
    { controllers: [RoutePerRequest] },
    (app) => app.resolve(RoutePerRequest),
  ],
  ['useClass', made({ useClass: Singleton }), (app) => app.get('made')],
  [
    'useExisting',
    { providers: [Singleton, { provide: 'made', useExisting: Singleton }] },
    (app) => app.get('made'),
  ],
  ['useFactory', made(factory), (app) => app.get('made')],
  [
    'an asynchronous useFactory',
    made({ useFactory: () => Promise.resolve(new Orders()) }),
    (app) => app.get('made'),
  ],
  ['useValue', made({ useValue: new Orders() }), (app) => app.get('made')],
  [
    'a request-scoped useFactory',
    made({ ...factory, scope: Scope.REQUEST }),
    (app) => app.resolve('made'),
  ],
  [
    'a transient useFactory',
    made({ ...factory, scope: Scope.TRANSIENT }),
    (app) => app.resolve('made'),
  ],
  [
    'a transient useFactory injected into a singleton',
    { providers: [{ provide: 'made', ...factory, scope: Scope.TRANSIENT }, Holder] },
    (app) => app.get(Holder).made,
  ],
  [
    'a useFactory that depends on the request',
    { providers: [PerRequest, { provide: 'made', inject: [PerRequest], ...factory }] },
    (app) => app.resolve('made'),
  ],
  [
    'a list made by useFactory',
    made({ useFactory: () => [{}, null, new Orders()] }),
    (app) => lastOf(app.get('made')),
  ],
  [
    'a list made by an asynchronous useFactory',
    made({ useFactory: () => Promise.resolve([new Orders()]) }),
    (app) => lastOf(app.get('made')),
  ],
  [
    'a list made by a request-scoped useFactory',
    made({ useFactory: () => [new Orders()], scope: Scope.REQUEST }),
    async (app) => lastOf(await app.resolve('made')),
  ],
  ['a list as useValue', made({ useValue: [new Orders()] }), (app) => lastOf(app.get('made'))],
  ['moduleRef.create', {}, (app) => app.get(ModuleRef).create(Singleton)],
  ['a frozen instance', { providers: [Frozen] }, (app) => app.get(Frozen)],
  [
    'a frozen instance of a factory',
    made({ useFactory: () => new Frozen() }),
    (app) => app.get('made'),
  ],
];

const startWith = (metadata: ModuleMetadata): Promise<TestingModule> =>
  start({
    ...metadata,
    imports: [
      ...(metadata.imports ?? []),
      ResilienceModule.forRoot({
        circuitBreakers: { payments: { failureThreshold: 2 } },
        runtime: lab.runtime,
      }),
    ],
  });

describe('R41: the registry of the application reaches', () => {
  it.each(kinds)('%s', async (_kind, metadata, obtain) => {
    const app = await startWith(metadata);
    const orders = await obtain(app);
    await expect(orders.charge()).resolves.toBe('charged');
    const { stats } = app.get(CircuitBreakerRegistry).get('payments');
    expect(stats.totalCalls).toBe(1);
    expect(warnings).not.toHaveBeenCalled();
  });

  it('every instance of a request-scoped provider, which share the breaker', async () => {
    const app = await startWith({ providers: [PerRequest] });
    const first = await app.resolve(PerRequest, ContextIdFactory.create());
    const second = await app.resolve(PerRequest, ContextIdFactory.create());
    expect(second).not.toBe(first);
    await settled(first.charge(new Error('down')));
    await settled(second.charge(new Error('down')));
    await expect(first.charge()).rejects.toThrow('Circuit breaker "payments" is open');
  });

  it('an instance of a factory before others are initialised', async () => {
    @Injectable()
    class Starter implements OnModuleInit {
      constructor(@Inject('made') private readonly orders: Orders) {}
      async onModuleInit(): Promise<void> {
        await this.orders.charge();
      }
    }
    const providers = [Starter, { provide: 'made', ...factory }];
    const app = await startWith({
      imports: [moduleOf({ imports: [moduleOf({ imports: [moduleOf({ providers })] })] })],
    });
    expect(app.get(CircuitBreakerRegistry).get('payments').stats.totalCalls).toBe(1);
    expect(warnings).not.toHaveBeenCalled();
  });

  it.each([new Orders(), new Frozen()])(
    'a value that an earlier application had',
    async (value) => {
      const providers = [{ provide: 'made', useValue: value }];
      const earlier = await startWith({ providers });
      await earlier.close();
      const app = await startWith({ providers });
      await app.get<Orders>('made').charge();
      expect(app.get(CircuitBreakerRegistry).get('payments').stats.totalCalls).toBe(1);
    },
  );

  it('values that are no instances are left alone', async () => {
    const values = [null, undefined, 0, 'text', () => 1, Object.create(null)];
    const app = await startWith({
      providers: values.map((useValue, at) => ({
        provide: `value ${String(at)}`,
        useValue: useValue as unknown,
      })),
    });
    expect(app.get('value 3')).toBe('text');
  });
});

describe('R41: over HTTP', () => {
  it.each([Scope.DEFAULT, Scope.REQUEST])(
    'a controller in scope %s is protected',
    async (scope) => {
      let tries = 0;
      @Controller({ path: 'orders', scope })
      class OrdersController {
        @Retry({ maxAttempts: 3, baseDelay: 0 })
        @CircuitProtected('payments')
        @Get()
        async list(): Promise<string[]> {
          if (++tries < 3) throw new Error('down');
          return ['one'];
        }
      }
      const app = await serve({
        controllers: [OrdersController],
        imports: [ResilienceModule.forRoot({ circuitBreakers: { payments: {} } })],
      });
      await request(app).get('/orders').expect(200, ['one']);
      expect(app.get(CircuitBreakerRegistry).get('payments').stats).toMatchObject({
        failedCalls: 2,
        successfulCalls: 1,
      });
    },
  );

  it('an interceptor is protected for a request-scoped controller', async () => {
    @Controller({ path: 'orders', scope: Scope.REQUEST })
    @UseInterceptors(ResilienceInterceptor({ circuitBreaker: 'payments' }))
    class OrdersController {
      @Get()
      list(): string[] {
        return ['one'];
      }
    }
    const app = await serve({
      controllers: [OrdersController],
      imports: [ResilienceModule.forRoot({ circuitBreakers: { payments: {} } })],
    });
    await request(app).get('/orders').expect(200, ['one']);
    expect(app.get(CircuitBreakerRegistry).get('payments').stats.successfulCalls).toBe(1);
  });
});

describe('R41: without a module', () => {
  it('new Service() is protected, with default options and one warning for a name', async () => {
    const [one, other] = [new Orders(), new Orders()];
    const down = new Error('down');
    for (let call = 0; call < 5; call++) await expect(one.charge(down)).rejects.toBe(down);
    await expect(other.charge()).rejects.toThrow('Circuit breaker "payments" is open');
    expect(warnings.mock.calls).toEqual([
      [
        '[Resilience] Orders.charge: circuit breaker "payments" is not configured; default options are used, since the instance, or the class of a static method, belongs to no application with ResilienceModule',
      ],
    ]);
  });

  it('each unknown name has its warning, an anonymous one none', async () => {
    class Client {
      @Retry('api')
      @CircuitProtected('stock')
      async read(): Promise<void> {
        /* read */
      }
      @Retry('api')
      @CircuitProtected()
      async write(): Promise<void> {
        /* written */
      }
    }
    await new Client().read();
    await new Client().write();
    expect(warnings.mock.calls.map(([message]) => String(message).split(';')[0])).toEqual([
      '[Resilience] Client.read: retry "api" is not configured',
      '[Resilience] Client.read: circuit breaker "stock" is not configured',
    ]);
  });

  it.each([
    ['policy', Resilient('stock')],
    ['rate limit', RateLimit('stock')],
    ['hedge', Hedge('stock')],
  ])('a name of a %s, which has no defaults, lets calls pass', async (title, decorate) => {
    class Stock {
      @decorate
      async inStock(sku: string): Promise<number> {
        return sku.length;
      }
    }
    for (const sku of ['mug', 'cup']) expect(await new Stock().inStock(sku)).toBe(3);
    expect(warnings.mock.calls).toEqual([
      [
        `[Resilience] Stock.inStock: ${title} "stock" is not configured; calls pass unprotected, since the instance, or the class of a static method, belongs to no application with ResilienceModule`,
      ],
    ]);
  });

  it('resetDefaultRegistry() begins afresh', async () => {
    const orders = new Orders();
    for (let call = 0; call < 5; call++) await settled(orders.charge(new Error('down')));
    await expect(orders.charge()).rejects.toThrow('is open');
    resetDefaultRegistry();
    await expect(orders.charge()).resolves.toBe('charged');
    expect(warnings).toHaveBeenCalledTimes(2);
  });

  it('resetDefaultRegistry() ends a retry that waits', async () => {
    class Client {
      @Retry({ baseDelay: '1h', maxDelay: '1h' })
      read(): Promise<never> {
        return Promise.reject(new Error('down'));
      }
    }
    const reading = settled(new Client().read());
    await new Promise((resolve) => setImmediate(resolve));
    resetDefaultRegistry();
    expect(await reading).toMatchObject({ error: { name: 'AbortError' } });
  });

  it('in an application without the module the same holds', async () => {
    const app = await start({ providers: [Singleton] });
    await expect(app.get(Singleton).charge()).resolves.toBe('charged');
    expect(warnings).toHaveBeenCalledTimes(1);
  });

  it('a detached method uses the default registry', async () => {
    const app = await startWith({ providers: [Singleton] });
    const { charge } = app.get(Singleton);
    await expect(charge()).resolves.toBe('charged');
    expect(app.get(CircuitBreakerRegistry).get('payments').stats.totalCalls).toBe(0);
    expect(warnings).toHaveBeenCalledTimes(1);
  });

  it('an instance of an application does not use it, though another one did', async () => {
    await new Orders().charge();
    const app = await startWith({ providers: [Singleton] });
    await app.get(Singleton).charge();
    expect(app.get(CircuitBreakerRegistry).get('payments').stats.totalCalls).toBe(1);
  });
});
