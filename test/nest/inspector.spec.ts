import {
  ConsoleLogger,
  Controller,
  Get,
  Injectable,
  type LogLevel,
  type MiddlewareConsumer,
  Module,
  type NestMiddleware,
  UseInterceptors,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import {
  Bulkhead,
  CircuitBreaker,
  CircuitBreakerError,
  CircuitProtected,
  type ErrorFilter,
  Fallback,
  ResilienceInspector,
  ResilienceInterceptor,
  ResilienceModule,
  type ResilienceModuleOptions,
  Resilient,
  Retry,
  RetrySync,
  TimeLimit,
  TimeoutError,
} from 'nestjs-bulwark';
import { closeAll, serve, start } from './support/applications.js';
import { Span } from './support/span.js';

afterEach(closeAll);

async function inspect(type: new () => object, options: ResilienceModuleOptions = {}) {
  const module = await Test.createTestingModule({
    imports: [ResilienceModule.forRoot(options)],
    providers: [type],
  }).compile();
  const app = module.createNestApplication({ logger: false });
  await app.init();
  const report = app.get(ResilienceInspector).report();
  await app.close();
  return report;
}

describe('R76: the start-up report', () => {
  it('computes the worst case of a method, outermost policy first', async () => {
    @Injectable()
    class Orders {
      @Retry({ maxAttempts: 3, baseDelay: 100, jitter: 0 })
      @CircuitProtected('orders')
      @TimeLimit('1s')
      async place(): Promise<void> {}

      @CircuitProtected()
      async unbounded(): Promise<void> {}
    }
    const { methods, warnings } = await inspect(Orders, { circuitBreakers: { orders: {} } });
    expect(methods).toEqual([
      expect.objectContaining({
        name: 'Orders.place',
        worstCaseCalls: 3,
        worstCaseDuration: 3 * 1000 + 100 + 200,
      }),
      expect.objectContaining({
        name: 'Orders.unbounded',
        worstCaseCalls: 1,
        worstCaseDuration: undefined,
      }),
    ]);
    expect(methods[0]?.policies.map(({ kind }) => kind)).toEqual([
      'retry',
      'circuitBreaker',
      'timeLimit',
    ]);
    expect(warnings).toEqual([]);
  });

  it('has the methods of middleware', async () => {
    @Injectable()
    class Auth implements NestMiddleware {
      @TimeLimit('1s')
      async check(): Promise<void> {}
      use(_request: unknown, _response: unknown, next: (error?: unknown) => void): void {
        void this.check().then(() => next(), next);
      }
    }
    @Module({ imports: [ResilienceModule.forRoot({})] })
    class Guarded {
      configure(consumer: MiddlewareConsumer): void {
        consumer.apply(Auth).forRoutes('*path');
      }
    }
    const app = await serve({ imports: [Guarded] });
    const { methods } = app.get(ResilienceInspector).report();
    expect(methods.map(({ name }) => name)).toEqual(['Auth.check']);
  });

  it('R81: has every policy under an id of its own', async () => {
    class Config {
      @RetrySync('api')
      read(): number {
        return 1;
      }
      @Retry('api')
      @Bulkhead({})
      async load(): Promise<void> {}
    }
    const imports = [ResilienceModule.forRoot({ retries: { api: {} } })];
    const app = await start({ imports, providers: [Config] });
    app.get(Config).read();
    const policies = app.get(ResilienceInspector).policies();
    expect(policies.map(({ id }) => id).sort()).toEqual([
      'bulkhead:Config.load#1',
      'retry:api',
      'retry:api#sync',
    ]);
    expect(policies.find(({ id }) => id === 'retry:api#sync')?.snapshot()).toMatchObject({
      calls: { first_try: 1 },
    });
  });

  it.each<[string, LogLevel[], number]>([
    ['at debug level', ['error', 'debug'], 1],
    ['nowhere where that is off', ['error'], 0],
  ])('is logged as a table %s', async (_where, logLevels, times) => {
    @Injectable()
    class Orders {
      @TimeLimit('1s')
      @Retry({ baseDelay: '1s', jitter: 0 })
      async place(): Promise<void> {}
      @CircuitProtected()
      async cancel(): Promise<void> {}
    }
    @Module({ imports: [ResilienceModule.forRoot()], providers: [Orders] })
    class ShopModule {}
    const tables: unknown[] = [];
    class Recorder extends ConsoleLogger {
      protected override printMessages(messages: unknown[], context = '', level?: LogLevel): void {
        if (context === 'Resilience' && level === 'debug') tables.push(...messages);
      }
    }
    const logger = new Recorder({ logLevels });
    const app = await NestFactory.createApplicationContext(ShopModule, { logger });
    await app.close();
    expect(tables).toHaveLength(times);
    if (times === 0) return;
    expect((tables[0] as string).split('\n')).toEqual([
      '2 protected methods',
      '  Orders.place: timeLimit > retry | at most 3 calls, 1000 ms',
      '  Orders.cancel: circuitBreaker | at most 1 calls, unbounded',
      expect.stringMatching(
        /^ {2}! Orders.place \[retry-exceeds-time-limit\] retry:Orders.place#1: /,
      ),
    ]);
  });

  it('reads a named policy part by part', async () => {
    @Injectable()
    class Orders {
      @Resilient('orders')
      async place(): Promise<void> {}
    }
    const { methods } = await inspect(Orders, {
      policies: {
        orders: {
          timeLimit: '5s',
          retry: { maxAttempts: 2 },
          hedge: { delay: 100 },
          attemptTimeLimit: '1s',
        },
      },
    });
    expect(methods[0]).toMatchObject({
      worstCaseCalls: 4,
      worstCaseDuration: 2 * (100 + 1000) + 110,
    });
  });

  it('bounds a fallback by a limit around it, not by one inside', async () => {
    @Injectable()
    class Rates {
      @Fallback(() => 'cached')
      @TimeLimit('1s')
      async rate(): Promise<string> {
        return 'current';
      }
      @TimeLimit('2s')
      @Fallback(() => 'cached')
      @TimeLimit('1s')
      async limited(): Promise<string> {
        return 'current';
      }
    }
    const { methods, warnings } = await inspect(Rates);
    expect(methods.map(({ worstCaseDuration }) => worstCaseDuration)).toEqual([undefined, 2000]);
    expect(warnings).toEqual([]);
  });

  it('has a method once, with all of ours, where somebody else’s decorators stand on it', async () => {
    @Injectable()
    class Orders {
      @Span()
      @Retry({ maxAttempts: 2, baseDelay: 100, jitter: 0 })
      @Span()
      @CircuitProtected()
      @TimeLimit('1s')
      async place(): Promise<void> {}
    }
    @Injectable()
    class UrgentOrders extends Orders {}
    for (const type of [Orders, UrgentOrders]) {
      const { methods } = await inspect(type);
      expect(methods).toMatchObject([
        { name: 'Orders.place', worstCaseCalls: 2, worstCaseDuration: 2 * 1000 + 100 },
      ]);
      expect(methods[0]?.policies.map(({ kind }) => kind)).toEqual([
        'retry',
        'circuitBreaker',
        'timeLimit',
      ]);
    }
  });

  describe('of an overridden method', () => {
    class Orders {
      @TimeLimit('1s')
      @Retry({ baseDelay: '1s' })
      async place(): Promise<void> {}

      @CircuitProtected()
      async cancel(): Promise<void> {}
    }
    class Plain extends Orders {
      override async place(): Promise<void> {}
    }
    class Limited extends Orders {
      @TimeLimit('2s')
      override async place(): Promise<void> {}
    }
    class Heir extends Plain {}

    it.each<[string, new () => object, string[]]>([
      ['leaves it out where nothing stands on the override', Plain, ['Orders.cancel']],
      ['leaves it out for who inherits the override', Heir, ['Orders.cancel']],
      ['has the override where ours stand on it', Limited, ['Limited.place', 'Orders.cancel']],
    ])('%s', async (_what, type, names) => {
      const { methods, warnings } = await inspect(type, { strict: true });
      expect(methods.map(({ name }) => name)).toEqual(names);
      expect(warnings).toEqual([]);
    });

    it('has it where the class that is overridden is a provider too', async () => {
      const app = await start({
        imports: [ResilienceModule.forRoot()],
        providers: [Plain, Orders],
      });
      const { methods, warnings } = app.get(ResilienceInspector).report();
      expect(methods.map(({ name }) => name)).toEqual(['Orders.cancel', 'Orders.place']);
      expect(warnings).toHaveLength(1);
    });

    it('has one that was copied from another class', async () => {
      class Mixed {
        readonly name = 'mixed';
      }
      const place = Object.getOwnPropertyDescriptor(Limited.prototype, 'place');
      Object.defineProperty(Mixed.prototype, 'place', place as PropertyDescriptor);
      const { methods } = await inspect(Mixed);
      expect(methods.map(({ name }) => name)).toEqual(['Limited.place']);
    });
  });

  it.each([
    [
      'retry-names-open-circuit',
      Retry({ retryOn: CircuitBreakerError }),
      CircuitProtected({ failureThreshold: 2 }),
    ],
    ['retry-exceeds-time-limit', TimeLimit('1s'), Retry({ baseDelay: '1s' })],
    ['fallback-inside-retry', Retry(), Fallback(() => 'cached')],
    ['fallback-inside-breaker', CircuitProtected(), Fallback(() => 'cached')],
    ['fallback-inside-retry', Retry(), Fallback(() => 'cached', { on: Error })],
    [
      'window-shorter-than-time-limit',
      CircuitProtected({ window: { type: 'time', duration: '3s' } }),
      TimeLimit('2s'),
    ],
    [
      'threshold-never-met',
      CircuitProtected({
        window: { type: 'count', slowCallRate: 0.5, slowCallDuration: '3s' },
      }),
      TimeLimit('2s'),
    ],
    ['threshold-never-met', Retry({ maxDuration: 50 }), TimeLimit('2s')],
  ])('warns of %s', async (rule, outer, inner) => {
    @Injectable()
    class Orders {
      @outer
      @inner
      async place(): Promise<string> {
        return 'placed';
      }
    }
    const { warnings } = await inspect(Orders);
    expect(warnings).toEqual([
      { method: 'Orders.place', rule, message: expect.stringContaining('Orders.place') },
    ]);
    await expect(inspect(Orders, { strict: true })).rejects.toThrow(`Orders.place [${rule}]`);
  });

  describe('of a failureThreshold beside a window', () => {
    @Injectable()
    class Orders {
      @CircuitProtected('orders')
      async place(): Promise<void> {}
    }
    const window = { type: 'count' } as const;

    it.each<[string, string[], ResilienceModuleOptions]>([
      [
        'warns where both are given',
        ['failure-threshold-without-effect'],
        { circuitBreakers: { orders: { failureThreshold: 5, window: { type: 'time' } } } },
      ],
      [
        'warns where the window is one of the defaults',
        ['failure-threshold-without-effect'],
        {
          circuitBreakers: { orders: { failureThreshold: 5 } },
          defaults: { circuitBreaker: { window } },
        },
      ],
      ['is silent where none is given', [], { circuitBreakers: { orders: { window } } }],
      [
        'is silent where it is one of the defaults',
        [],
        {
          circuitBreakers: { orders: { window } },
          defaults: { circuitBreaker: { failureThreshold: 3 } },
        },
      ],
      [
        'is silent where it counts',
        [],
        { circuitBreakers: { orders: { failureThreshold: 3, window: { type: 'consecutive' } } } },
      ],
    ])('%s', async (_what, rules, options) => {
      const { warnings } = await inspect(Orders, options);
      expect(warnings.map(({ rule }) => rule)).toEqual(rules);
    });

    it('names both, and says what to do', async () => {
      const { warnings } = await inspect(Orders, {
        circuitBreakers: { orders: { failureThreshold: 7, window } },
      });
      expect(warnings[0]).toMatchObject({
        method: 'Orders.place',
        message:
          'breaker:orders: failureThreshold 7 counts failures in a row, and its count window looks at their share instead; leave failureThreshold out and set failureRate and minimumCalls of the window',
      });
    });
  });

  describe('of one breaker twice around a method', () => {
    const byHand = new CircuitBreaker('by hand');
    const parts = { circuitBreaker: 'orders' } as const;

    @CircuitProtected('orders')
    class OnClassAndMethod {
      @CircuitProtected('orders')
      async place(): Promise<void> {}
    }
    class Stacked {
      @Resilient('placing')
      @Retry()
      @CircuitProtected('orders')
      async place(): Promise<void> {}
    }
    class AroundAnother {
      @CircuitProtected(byHand)
      @Span()
      @CircuitProtected(byHand)
      async place(): Promise<void> {}
    }
    @Controller('on-route')
    class OnRoute {
      @Get()
      @UseInterceptors(ResilienceInterceptor('placing'))
      @CircuitProtected('orders')
      async place(): Promise<void> {}
    }
    @Controller('below')
    class BelowOurs {
      @CircuitProtected('orders')
      @UseInterceptors(new (ResilienceInterceptor(parts))())
      @Get()
      async place(): Promise<void> {}
    }
    @Controller('on-class')
    @UseInterceptors(ResilienceInterceptor(parts))
    class OnController {
      @Get()
      @CircuitProtected('orders')
      async place(): Promise<void> {}
    }
    @UseInterceptors(ResilienceInterceptor(parts))
    class Others {
      @CircuitProtected('shipping')
      @CircuitProtected('orders', { key: () => 'tenant' })
      async place(): Promise<void> {}
      @CircuitProtected()
      async cancel(): Promise<void> {}
      @CircuitProtected('shipping')
      static async count(): Promise<void> {}
    }

    const rule = 'breaker-counts-twice';
    it.each<[string, new () => object, string[]]>([
      ['class and method', OnClassAndMethod, [rule]],
      ['named policy and decorator', Stacked, [rule]],
      ['two decorators with somebody else’s between them', AroundAnother, [rule]],
      ['interceptor of the route', OnRoute, [rule]],
      ['interceptor made by hand', BelowOurs, [rule]],
      ['interceptor of the controller', OnController, [rule]],
      ['others', Others, []],
    ])('%s', async (_where, type, rules) => {
      const isController = Reflect.hasMetadata('path', type);
      const app = await start({
        imports: [
          ResilienceModule.forRoot({
            circuitBreakers: { orders: {}, shipping: {} },
            policies: { placing: parts },
          }),
        ],
        [isController ? 'controllers' : 'providers']: [type],
      });
      const { warnings } = app.get(ResilienceInspector).report();
      expect(warnings.map((warning) => warning.rule)).toEqual(rules);
      for (const { method, message } of warnings) {
        expect(method).toBe(`${type.name}.place`);
        expect(message).toMatch(/^breaker:(orders|by hand): the same breaker stands further out/);
      }
    });
  });

  it.each<[string, ErrorFilter]>([
    ['a class', TimeoutError],
    ['a predicate', (error) => (error as { status: number }).status === 404],
    [
      'a predicate that throws for others',
      (error) => (error as { response: { status: number } }).response.status === 404,
    ],
  ])('finds nothing wrong with an inner fallback for errors of %s', async (_what, on) => {
    @Injectable()
    class Orders {
      @Retry()
      @CircuitProtected()
      @Fallback(() => 'cached', { on })
      async place(): Promise<string> {
        return 'placed';
      }
    }
    expect((await inspect(Orders)).warnings).toEqual([]);
  });

  it('finds nothing wrong with the documented order', async () => {
    @Injectable()
    class Orders {
      @Fallback(() => 'cached')
      @TimeLimit('10s')
      @Retry()
      @CircuitProtected({ window: { type: 'time', duration: '10s' } })
      @TimeLimit('2s')
      async place(): Promise<string> {
        return 'placed';
      }
    }
    await expect(inspect(Orders, { strict: true })).resolves.toMatchObject({ warnings: [] });
  });
});
