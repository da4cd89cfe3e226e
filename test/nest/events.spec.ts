import {
  type INestApplication,
  Injectable,
  type MiddlewareConsumer,
  Module,
  type NestMiddleware,
  type NestModule,
  type Provider,
  Scope,
  type Type,
} from '@nestjs/common';
import { LazyModuleLoader, ModuleRef } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import {
  Bulkhead,
  CircuitBreakerRegistry,
  CircuitProtected,
  Fallback,
  OnResilienceEvent,
  RateLimit,
  ResilienceEvents,
  type ResilienceEvent,
  ResilienceModule,
  type ResilienceModuleOptions,
  Retry,
  TimeLimit,
} from 'nestjs-bulwark';
import { FakeClock } from 'nestjs-bulwark/testing';
import { closeAll, moduleOf, startUpIssues } from './support/applications.js';
import { Span } from './support/span.js';

afterEach(closeAll);

const errors: string[] = [];
const logger = {
  error: (message: string) => errors.push(message),
  warn: (m: string) => errors.push(m),
};

async function start(
  providers: Provider[],
  options: ResilienceModuleOptions = {},
  imports: Type[] = [],
) {
  errors.length = 0;
  const clock = new FakeClock();
  const module = await Test.createTestingModule({
    imports: [ResilienceModule.forRoot({ runtime: { clock, logger }, ...options }), ...imports],
    providers,
  }).compile();
  const app = module.createNestApplication({ logger: false });
  await app.init();
  return { app, clock };
}

const fails = async (): Promise<never> => {
  throw new Error('down');
};

describe('ResilienceEvents: one stream of what the policies do', () => {
  it('tells each kind of event with its policy, in the order of ids', async () => {
    @Injectable()
    class Orders {
      @Fallback(() => 'cached')
      @Retry({ maxAttempts: 2, baseDelay: 10, jitter: 0 })
      @CircuitProtected('orders')
      place(): Promise<string> {
        return fails();
      }

      @TimeLimit(5)
      hang(): Promise<void> {
        return new Promise(() => undefined);
      }

      @Bulkhead({ maxConcurrent: 1 })
      alone(): Promise<void> {
        return new Promise(() => undefined);
      }

      @RateLimit({ limit: 1, interval: '1s' })
      async seldom(): Promise<void> {}
    }
    const { app, clock } = await start([Orders], {
      circuitBreakers: { orders: { failureThreshold: 2, recoveryTimeout: '1s' } },
    });
    const seen: ResilienceEvent[] = [];
    app.get(ResilienceEvents).subscribe((event) => seen.push(event));
    const orders = app.get(Orders);

    const placed = orders.place();
    await clock.advance(10);
    expect(await placed).toBe('cached');
    expect(await orders.place()).toBe('cached');
    void orders.hang().catch(() => undefined);
    await clock.advance(5);
    void orders.alone();
    await orders.alone().catch(() => undefined);
    await orders.seldom();
    await orders.seldom().catch(() => undefined);

    expect(seen.map(({ type, policy }) => [type, policy])).toEqual([
      ['retry.scheduled', 'retry:Orders.place#1'],
      ['breaker.opened', 'breaker:orders'],
      ['retry.exhausted', 'retry:Orders.place#1'],
      ['fallback.served', 'fallback:Orders.place#0'],
      ['breaker.rejected', 'breaker:orders'],
      ['fallback.served', 'fallback:Orders.place#0'],
      ['time-limit.exceeded', 'timeLimit:Orders.hang#0'],
      ['bulkhead.rejected', 'bulkhead:Orders.alone#0'],
      ['rate-limit.rejected', 'rateLimit:Orders.seldom#0'],
    ]);
    expect(seen.map(({ id }) => id)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(seen[0]).toMatchObject({ attempt: 1, delay: 10, at: clock.wallTime() - 15 });
    await app.close();
  });

  it('R84: an opening says why', async () => {
    @Injectable()
    class Orders {
      @CircuitProtected({ failureThreshold: 2 })
      place(): Promise<string> {
        return fails();
      }
    }
    const { app } = await start([Orders]);
    const openings: ResilienceEvent<'breaker.opened'>[] = [];
    app
      .get(ResilienceEvents)
      .of('breaker.opened')
      .subscribe((event) => openings.push(event));
    await app
      .get(Orders)
      .place()
      .catch(() => undefined);
    await app
      .get(Orders)
      .place()
      .catch(() => undefined);
    expect(openings).toMatchObject([
      {
        from: 'closed',
        opening: {
          rule: 'consecutive_failures',
          figures: { failures: 2, failureThreshold: 2 },
          topFailures: [{ name: 'Error', count: 2 }],
        },
      },
    ]);
    await app.close();
  });

  it('keeps the last events of each policy for readers that resume', async () => {
    const { app } = await start([], {
      circuitBreakers: { a: {}, b: {} },
      events: { history: 2 },
    });
    const breakers = app.get(CircuitBreakerRegistry);
    const events = app.get(ResilienceEvents);
    breakers.get('a').isolate().release();
    breakers.get('a').isolate().release();
    breakers.get('b').isolate();
    expect(events.recent().map(({ id, policy }) => [id, policy])).toEqual([
      [3, 'breaker:a'],
      [4, 'breaker:a'],
      [5, 'breaker:b'],
    ]);
    expect(events.recent({ policy: 'breaker:a', after: 3 })).toMatchObject([
      { id: 4, type: 'breaker.closed' },
    ]);
    expect(events.recent({ policy: 'breaker:none' })).toEqual([]);
    await app.close();
  });

  it('keeps nothing where no history is asked for', async () => {
    const { app } = await start([], { circuitBreakers: { a: {} } });
    app.get(CircuitBreakerRegistry).get('a').isolate();
    expect(app.get(ResilienceEvents).recent()).toEqual([]);
    await app.close();
  });

  it('two applications do not hear each other', async () => {
    const one = await start([], { circuitBreakers: { a: {} } });
    const other = await start([], { circuitBreakers: { a: {} } });
    const seen: string[] = [];
    other.app.get(ResilienceEvents).subscribe(({ type }) => seen.push(type));
    one.app.get(CircuitBreakerRegistry).get('a').isolate();
    expect(seen).toEqual([]);
    await one.app.close();
    await other.app.close();
  });
});

describe('R33: after shutdown', () => {
  it('subscribers hear nothing, and are told of the end', async () => {
    const { app } = await start([], { circuitBreakers: { a: {} } });
    const [breakers, events] = [app.get(CircuitBreakerRegistry), app.get(ResilienceEvents)];
    const seen: string[] = [];
    const observer = {
      next: ({ type }: ResilienceEvent) => seen.push(type),
      complete: () => seen.push('end'),
    };
    events.subscribe(observer);
    events.subscribe(observer).unsubscribe();
    events.of('breaker.closed').subscribe(observer);
    breakers.get('a').isolate();
    await app.close();
    breakers.get('a').reset();
    expect(seen).toEqual(['breaker.isolated', 'end', 'end']);
    events.subscribe(observer);
    breakers.get('a').isolate();
    expect(seen.slice(3)).toEqual(['end']);
  });
});

describe('@OnResilienceEvent', () => {
  const heard: string[] = [];
  beforeEach(() => (heard.length = 0));

  class Base {
    @OnResilienceEvent('breaker.closed')
    closed({ name }: ResilienceEvent<'breaker.closed'>): void {
      heard.push(`closed ${name}`);
    }
  }

  @Injectable()
  class Pager extends Base {
    @OnResilienceEvent('breaker.isolated', { breaker: 'payments' })
    isolated({ name }: ResilienceEvent<'breaker.isolated'>): void {
      heard.push(`isolated ${name}`);
    }

    @OnResilienceEvent('*', { policy: 'breaker:orders' })
    orders({ type }: ResilienceEvent): void {
      heard.push(`orders ${type}`);
    }

    @OnResilienceEvent(['breaker.disabled'])
    async disabled(): Promise<void> {
      throw new Error('pager is out of order');
    }
  }

  it('calls methods for the events that they name, inherited ones too', async () => {
    const { app } = await start([Pager], { circuitBreakers: { payments: {}, orders: {} } });
    const breakers = app.get(CircuitBreakerRegistry);
    breakers.get('payments').isolate().release();
    breakers.get('orders').isolate();
    expect(heard).toEqual(['isolated payments', 'closed payments', 'orders breaker.isolated']);
    await app.close();
    breakers.get('payments').isolate();
    expect(heard).toHaveLength(3);
  });

  it('R19: contains and logs what a listener throws', async () => {
    const { app } = await start([Pager], { circuitBreakers: { payments: {} } });
    app.get(CircuitBreakerRegistry).get('payments').disable();
    await Promise.resolve();
    expect(errors).toEqual([expect.stringContaining('Pager.disabled')]);
    await app.close();
  });

  it('hears through somebody else’s decorators, and once', async () => {
    const log = (): void => void heard.push('closed');
    @Injectable()
    class Spanned {
      @Span()
      @OnResilienceEvent('breaker.closed')
      closed(): void {
        log();
      }
      @OnResilienceEvent('breaker.closed')
      @CircuitProtected()
      protected(): void {
        log();
      }
    }
    const { app } = await start([Spanned], { circuitBreakers: { payments: {} } });
    app.get(CircuitBreakerRegistry).get('payments').isolate().release();
    expect(heard).toEqual(['closed', 'closed']);
    await app.close();
  });

  it('R44: is not for a decorator on the class to turn away', async () => {
    @Injectable()
    @CircuitProtected('payments')
    class Payments {
      @OnResilienceEvent(['breaker.opened', 'breaker.rejected'])
      alarm({ type }: ResilienceEvent): void {
        heard.push(type);
      }
      @OnResilienceEvent('breaker.opened')
      @Retry({ maxAttempts: 2, baseDelay: 0 })
      async page(): Promise<void> {
        heard.push('page');
        if (heard.filter((each) => each === 'page').length < 2) throw new Error('engaged');
      }
      async charge(): Promise<never> {
        return fails();
      }
    }
    const { app, clock } = await start([Payments], {
      circuitBreakers: { payments: { failureThreshold: 1 } },
    });
    const payments = app.get(Payments);
    await payments.charge().catch(() => undefined);
    await clock.runAll();
    await payments.charge().catch(() => undefined);
    expect(heard).toEqual(['breaker.opened', 'page', 'page', 'breaker.rejected']);
    expect(errors).toEqual([]);
    await app.close();
  });

  it.each<[string, unknown, unknown, string]>([
    [
      'a type',
      'breaker.opend',
      {},
      ': "breaker.opend" is not a type of event; did you mean "breaker.opened"?',
    ],
    ['one of several types', ['*', 3], {}, ': 3 is not a type of event'],
    ['a filter', '*', { braker: 'a' }, '.braker is not a known option; did you mean "breaker"?'],
    ['a filter that is none', '*', 'a', ' must be an object of options, got "a"'],
    ['a policy that is no name', '*', { policy: 1 }, '.policy must be a non-empty string, got 1'],
    [
      'a breaker that is no name',
      '*',
      { breaker: 1 },
      '.breaker must be a non-empty string, got 1',
    ],
  ])('R34: start-up fails where it does not know %s', async (_what, types, filter, message) => {
    class Listener {
      @OnResilienceEvent(types as '*', filter as object)
      hear(): void {
        heard.push('hear');
      }
    }
    const imports = [ResilienceModule.forRoot()];
    const byFactory = { provide: 'listener', useFactory: () => new Listener() };
    for (const provider of [Listener, byFactory]) {
      const issues = await startUpIssues({ imports, providers: [provider] });
      expect(issues).toEqual([`@OnResilienceEvent(Listener.hear)${message}`]);
    }
  });

  describe('to one circuit breaker', () => {
    class Gateway {
      @CircuitProtected({ failureThreshold: 1 })
      charge(): Promise<string> {
        return fails();
      }
      @CircuitProtected({}, { key: (tenant: string) => tenant })
      async load(tenant: string): Promise<string> {
        return tenant;
      }
    }
    const circuitBreakers = { payments: {}, 'orders[eu]': {} };
    const known = 'known: payments, orders[eu], Gateway.charge, Gateway.load';

    it.each<[string, string | undefined]>([
      ['payments', undefined],
      ['payments[acme]', undefined],
      ['orders[eu][acme]', undefined],
      ['payments[[acme]]', undefined],
      ['Gateway.charge', undefined],
      ['Gateway.load', undefined],
      ['Gateway.load[acme]', undefined],
      ['paymets', '; did you mean "payments"?'],
      ['tenants[acme]', ''],
      ['payments[acme', '; did you mean "payments"?'],
    ])('%s: warns if there is none', async (breaker, nearest) => {
      class Listener {
        @OnResilienceEvent('breaker.opened', { breaker })
        hear(): void {
          heard.push(breaker);
        }
      }
      await start([Gateway, Listener], { circuitBreakers });
      const warning =
        `@OnResilienceEvent(Listener.hear): there is no circuit breaker "${breaker}" yet (${known}), ` +
        `so it hears nothing until one is made${String(nearest)}`;
      expect(errors).toEqual(nearest === undefined ? [] : [warning]);
    });

    it('knows those of middleware', async () => {
      class Listener {
        @OnResilienceEvent('breaker.opened', { breaker: 'Auth.use' })
        hear(): void {
          heard.push('hear');
        }
      }
      class Auth implements NestMiddleware {
        @CircuitProtected()
        use(_request: unknown, _response: unknown, next: () => void): void {
          next();
        }
      }
      @Module({ providers: [Listener] })
      class WithMiddleware implements NestModule {
        configure(consumer: MiddlewareConsumer): void {
          consumer.apply(Auth).forRoutes('*path');
        }
      }
      await start([], {}, [WithMiddleware]);
      expect(errors).toEqual([]);
    });

    @Injectable()
    class Listener {
      @OnResilienceEvent('breaker.opened', { breaker: 'Gateway.charge' })
      hear({ name }: ResilienceEvent<'breaker.opened'>): void {
        heard.push(name);
      }
    }
    const factory = { provide: Gateway, useFactory: () => new Gateway() };

    it.each<[string, Provider[], (app: INestApplication) => Promise<Gateway>]>([
      ['a request', [{ ...factory, scope: Scope.REQUEST }], (app) => app.resolve(Gateway)],
      ['a resolve()', [{ ...factory, scope: Scope.TRANSIENT }], (app) => app.resolve(Gateway)],
      ['ModuleRef.create()', [], (app) => app.get(ModuleRef).create(Gateway)],
      [
        'a lazily loaded module',
        [],
        async (app) => {
          const lazy = moduleOf({ providers: [Gateway] });
          return (await app.get(LazyModuleLoader).load(() => lazy)).get(Gateway);
        },
      ],
    ])('hears one that comes with %s', async (_what, providers, gatewayOf) => {
      const { app } = await start([Listener, ...providers]);
      const gateway = await gatewayOf(app);
      await gateway.charge().catch(() => undefined);
      expect(heard).toEqual(['Gateway.charge']);
      await app.close();
    });
  });

  it('says where it cannot be called', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class PerRequest {
      @OnResilienceEvent('*')
      any(): void {
        heard.push('any');
      }
    }
    const { app } = await start([PerRequest]);
    expect(errors).toEqual([expect.stringContaining('PerRequest.any')]);
    await app.close();
  });
});
