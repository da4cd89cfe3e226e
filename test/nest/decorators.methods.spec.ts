import 'reflect-metadata';
import { captureRejectionSymbol } from 'node:events';
import { inspect } from 'node:util';
import { jest } from '@jest/globals';
import {
  Injectable,
  type MiddlewareConsumer,
  Module,
  type ModuleMetadata,
  type NestModule,
  SetMetadata,
  applyDecorators,
} from '@nestjs/common';
import {
  CircuitBreaker,
  CircuitBreakerError,
  CircuitBreakerRegistry,
  CircuitProtected,
  Fallback,
  ResilienceConfigError,
  ResilienceInspector,
  ResilienceModule,
  Retry,
  RetryConfig,
  RetryExhaustedError,
  RetrySync,
  retry,
} from 'nestjs-bulwark';
import { resetDefaultRegistry } from 'nestjs-bulwark/testing';
import type { TestingModule } from '@nestjs/testing';
import { Lab, down, settled, thrownBy } from '../support/lab.js';
import { closeAll, issuesOf, serve, start } from './support/applications.js';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(closeAll);
afterEach(resetDefaultRegistry);

const startWith = (metadata: ModuleMetadata): Promise<TestingModule> =>
  start({
    ...metadata,
    imports: [
      ResilienceModule.forRoot({
        circuitBreakers: { payments: { failureThreshold: 2 } },
        retries: { api: { maxAttempts: 4 } },
        runtime: lab.runtime,
      }),
    ],
  });
const breakersOf = (app: TestingModule): string[] =>
  [...app.get(CircuitBreakerRegistry)].map(({ name }) => name).toSorted();

describe('R40: stacked decorators are one pipeline in reading order', () => {
  class Client {
    tries = 0;
    #fail(): Promise<never> {
      this.tries++;
      return Promise.reject(down);
    }
    @Retry({ maxAttempts: 5 })
    @CircuitProtected('payments')
    retryOutside(): Promise<never> {
      return this.#fail();
    }
    @CircuitProtected('payments')
    @Retry({ maxAttempts: 5 })
    breakerOutside(): Promise<never> {
      return this.#fail();
    }
    @Retry({ maxAttempts: 2 })
    @CircuitProtected({ failureThreshold: 9 })
    @Retry({ maxAttempts: 3, retryOn: Error })
    three(): Promise<never> {
      return this.#fail();
    }
  }
  let client: Client;
  let breaker: CircuitBreaker;
  beforeEach(async () => {
    const app = await startWith({ providers: [Client] });
    client = app.get(Client);
    breaker = app.get(CircuitBreakerRegistry).get('payments');
  });

  it('an open circuit ends the retries at once', async () => {
    const error = await lab.errorOf(client.retryOutside());
    expect(error).toBeInstanceOf(CircuitBreakerError);
    expect(client.tries).toBe(2);
    expect(breaker.stats).toMatchObject({ failedCalls: 2, rejectedCalls: 1 });
    expect(lab.clock.now()).toBe(100 + 200);
  });

  it('a breaker around a retry sees one failure for all its tries', async () => {
    const error = await lab.errorOf(client.breakerOutside());
    expect(error).toBeInstanceOf(RetryExhaustedError);
    expect(client.tries).toBe(5);
    expect(breaker.stats).toMatchObject({ totalCalls: 1, failedCalls: 1 });
  });

  it('applyDecorators is read from the inside: Nest applies what it names first, first', async () => {
    class Applied {
      tries = 0;
      @applyDecorators(CircuitProtected('payments'), Retry({ maxAttempts: 5 }))
      call(): Promise<never> {
        this.tries++;
        return Promise.reject(down);
      }
    }
    const app = await startWith({ providers: [Applied] });
    const applied = app.get(Applied);
    expect(await lab.errorOf(applied.call())).toBeInstanceOf(CircuitBreakerError);
    expect(applied.tries).toBe(2);
  });

  it('two retries do not multiply: the outer one leaves an exhausted inner one alone', async () => {
    const error = await lab.errorOf(client.three());
    expect(error).toMatchObject({ name: 'RetryExhaustedError', attempts: 3 });
    expect(client.tries).toBe(3);
  });

  it('a function that a decorator of others put between is kept', async () => {
    const calls: string[] = [];
    const Traced: MethodDecorator = (_target, _key, descriptor: PropertyDescriptor) => {
      const inner = descriptor.value as (...args: unknown[]) => unknown;
      descriptor.value = function (this: unknown, ...args: unknown[]): unknown {
        calls.push('traced');
        return inner.apply(this, args);
      };
    };
    class Traceable {
      @Retry({ maxAttempts: 2 })
      @Traced
      @CircuitProtected('payments')
      call(): Promise<never> {
        calls.push('called');
        return Promise.reject(down);
      }
    }
    const app = await startWith({ providers: [Traceable] });
    await lab.errorOf(app.get(Traceable).call());
    expect(calls).toEqual(['traced', 'called', 'traced', 'called']);
    expect(app.get(CircuitBreakerRegistry).get('payments').stats.failedCalls).toBe(2);
  });
});

describe('what the decorators take', () => {
  const shared = new CircuitBreaker('by hand', { failureThreshold: 1 });
  const reads = new RetryConfig({ maxAttempts: 2, baseDelay: 1 });
  const byHand = retry({ maxAttempts: 6, baseDelay: 0 });
  class Client {
    tries = 0;
    #fail(): Promise<never> {
      this.tries++;
      return Promise.reject(down);
    }
    @Retry() defaults(): Promise<never> {
      return this.#fail();
    }
    @Retry('api') named(): Promise<never> {
      return this.#fail();
    }
    @Retry({ maxAttempts: 5 }) options(): Promise<never> {
      return this.#fail();
    }
    @Retry(reads) config(): Promise<never> {
      return this.#fail();
    }
    @Retry(byHand) policy(): Promise<never> {
      return this.#fail();
    }
    @CircuitProtected(shared) guarded(): Promise<never> {
      return this.#fail();
    }
    @CircuitProtected(shared) guardedToo(): Promise<never> {
      return this.#fail();
    }
    @RetrySync({ maxAttempts: 3 })
    @CircuitProtected({ failureThreshold: 2 })
    sync(): number {
      this.tries++;
      throw down;
    }
    @RetrySync('api') syncNamed(): number {
      this.tries++;
      if (this.tries < 3) throw down;
      return this.tries;
    }
    @RetrySync(reads) syncConfig(): number {
      this.tries++;
      throw down;
    }
  }
  const client = async (): Promise<Client> =>
    (await startWith({ providers: [Client] })).get(Client);

  it.each([
    ['nothing', 'defaults', 3],
    ['a name', 'named', 4],
    ['options', 'options', 5],
    ['a RetryConfig', 'config', 2],
    ['a policy', 'policy', 6],
  ] as const)('@Retry takes %s', async (_title, method, tries) => {
    const service = await client();
    const running = settled(service[method]());
    await lab.clock.runAll();
    expect(await running).toMatchObject({ error: { name: 'RetryExhaustedError' } });
    expect(service.tries).toBe(tries);
  });

  it('@CircuitProtected takes a breaker made by hand, which is then shared', async () => {
    const service = await client();
    await expect(service.guarded()).rejects.toBe(down);
    await expect(service.guardedToo()).rejects.toThrow('Circuit breaker "by hand" is open');
    expect(service.tries).toBe(1);
  });

  it('@RetrySync above @CircuitProtected retries a synchronous method until the circuit opens', async () => {
    const service = await client();
    expect(thrownBy(() => service.sync())).toBeInstanceOf(CircuitBreakerError);
    expect(service.tries).toBe(2);
    expect(lab.clock.now()).toBe(100 + 200);
  });

  it('@RetrySync takes a name and a RetryConfig', async () => {
    const service = await client();
    expect(service.syncNamed()).toBe(3);
    service.tries = 0;
    expect(thrownBy(() => service.syncConfig())).toBeInstanceOf(RetryExhaustedError);
    expect(service.tries).toBe(2);
  });
});

describe('R42: inheritance', () => {
  @Injectable()
  class Base {
    tries = 0;
    @CircuitProtected()
    async call(): Promise<string> {
      this.tries++;
      return 'base';
    }
  }
  @Injectable()
  class Inherits extends Base {}
  @Injectable()
  class Overrides extends Base {
    override async call(): Promise<string> {
      return 'plain';
    }
  }
  @Injectable()
  class OverridesAndCalls extends Base {
    override async call(): Promise<string> {
      return `plain ${await super.call()}`;
    }
  }
  @Injectable()
  class Decorates extends Base {
    @CircuitProtected()
    override async call(): Promise<string> {
      return `decorated ${await super.call()}`;
    }
  }
  @Injectable()
  class DecoratesOnly extends Base {
    @CircuitProtected()
    override async call(): Promise<string> {
      return 'decorated';
    }
  }

  it.each([
    [
      'that inherits is protected by the breaker of the declaring class',
      Inherits,
      'base',
      'Base.call',
    ],
    ['that overrides without a decorator is not protected', Overrides, 'plain', ''],
    [
      'that overrides and calls super is protected inside',
      OverridesAndCalls,
      'plain base',
      'Base.call',
    ],
    [
      'that decorates and calls super is protected twice',
      Decorates,
      'decorated base',
      'Base.call Decorates.call',
    ],
    ['that decorates has a breaker of its own', DecoratesOnly, 'decorated', 'DecoratesOnly.call'],
  ])('a subclass %s', async (_title, type, result, used) => {
    const app = await startWith({ providers: [type] });
    await expect(app.get<Base>(type).call()).resolves.toBe(result);
    const called = [...app.get(CircuitBreakerRegistry)].filter(({ stats }) => stats.totalCalls > 0);
    expect(
      called
        .map(({ name }) => name)
        .toSorted()
        .join(' '),
    ).toBe(used);
  });

  it('R44: subclasses share the breaker of what they inherit', async () => {
    @Injectable()
    class Other extends Base {}
    const app = await startWith({ providers: [Inherits, Other] });
    await app.get(Inherits).call();
    await app.get(Other).call();
    const calls = [...app.get(CircuitBreakerRegistry)].map(
      ({ name, stats }) => `${name} ${String(stats.totalCalls)}`,
    );
    expect(calls.toSorted()).toEqual(['Base.call 2', 'payments 0']);
  });
});

describe('R44: names', () => {
  it('of breakers without a name are Class.method, also of symbols and static methods', async () => {
    const REFUND = Symbol('refund');
    class Orders {
      @CircuitProtected()
      async charge(): Promise<void> {
        /* charged */
      }
      @CircuitProtected()
      async [REFUND](): Promise<string> {
        return 'refunded';
      }
    }
    const app = await startWith({ providers: [Orders] });
    await expect(app.get(Orders)[REFUND]()).resolves.toBe('refunded');
    expect(breakersOf(app)).toEqual(['Orders.Symbol(refund)', 'Orders.charge', 'payments']);
  });

  it('two classes of the same name do not share a breaker', async () => {
    const orders = (): new () => { charge(error?: Error): Promise<string> } => {
      class Orders {
        @CircuitProtected({ failureThreshold: 1 })
        async charge(error?: Error): Promise<string> {
          if (error) throw error;
          return 'charged';
        }
      }
      return Orders;
    };
    const [One, Other] = [orders(), orders()];
    const app = await startWith({ providers: [One, Other] });
    await settled(app.get(One).charge(down));
    await expect(app.get(One).charge()).rejects.toThrow('is open');
    await expect(app.get(Other).charge()).resolves.toBe('charged');
    expect(breakersOf(app)).toEqual(['Orders.charge', 'Orders.charge~2', 'payments']);
  });

  it('an anonymous breaker does not take a configured name', async () => {
    class Orders {
      @CircuitProtected()
      async charge(): Promise<void> {
        /* charged */
      }
    }
    const app = await start({
      imports: [ResilienceModule.forRoot({ circuitBreakers: { 'Orders.charge': {} } })],
      providers: [Orders],
    });
    await app.get(Orders).charge();
    expect(app.get(CircuitBreakerRegistry).get('Orders.charge').stats.totalCalls).toBe(0);
    expect(breakersOf(app)).toEqual(['Orders.charge', 'Orders.charge~2']);
  });

  it('R81: ids are the same in every application', async () => {
    class Orders {
      @Retry()
      @CircuitProtected()
      async charge(): Promise<void> {
        /* charged */
      }
    }
    for (let each = 0; each < 2; each++) {
      const app = await startWith({ providers: [Orders] });
      const ids = [...app.get(CircuitBreakerRegistry)].map(({ id }) => id);
      expect(ids.toSorted()).toEqual(['breaker:Orders.charge', 'breaker:payments']);
    }
  });
});

describe('what a decorator cannot stand on', () => {
  class Shape {
    get area(): number {
      return 1;
    }
    set width(_value: number) {
      /* kept */
    }
    side = 1;
    arrow = (): number => 1;
  }
  const { prototype } = Shape;
  it.each([
    ['a getter', 'area', 'an accessor'],
    ['a setter', 'width', 'an accessor'],
    ['a property', 'side', 'a property'],
    ['an arrow function property', 'arrow', 'a property'],
  ])('%s', (_title, key, what) => {
    const descriptor = Object.getOwnPropertyDescriptor(prototype, key);
    const decorate: (...args: [object, string, PropertyDescriptor]) => void = CircuitProtected();
    const error = thrownBy(() => decorate(prototype, key, descriptor as PropertyDescriptor));
    expect(error).toBeInstanceOf(TypeError);
    expect((error as Error).message).toBe(
      `@CircuitProtected() can only decorate methods and classes; "Shape.${key}" is ${what}`,
    );
  });

  it('a getter written with the decorator', () => {
    const declare = (): unknown => {
      class Written {
        @CircuitProtected()
        get area(): number {
          return 1;
        }
      }
      return Written;
    };
    expect(declare).toThrow(TypeError);
  });

  it('a property written with the decorator', () => {
    const onProperty = CircuitProtected() as PropertyDecorator;
    const declare = (): unknown => {
      class Written {
        @onProperty
        area = (): number => 1;
      }
      return Written;
    };
    expect(declare).toThrow(TypeError);
  });
});

describe('static methods', () => {
  const warn = jest.spyOn(console, 'warn');
  beforeEach(() => warn.mockReset());
  afterAll(() => warn.mockRestore());

  it('are protected through the default registry', async () => {
    class Rates {
      readonly id = 1;
      static factor = 2;
      @Retry({ maxAttempts: 2, baseDelay: 0 })
      @CircuitProtected()
      static async double(value: number): Promise<number> {
        return value * this.factor;
      }
    }
    await expect(Rates.double(4)).resolves.toBe(8);
    expect(Rates.double).toHaveLength(1);
  });

  const declare = (name = 'payments') => {
    class Payments {
      @CircuitProtected(name)
      static async charge(): Promise<string> {
        return 'charged';
      }
      @CircuitProtected()
      async refund(): Promise<string> {
        return 'refunded';
      }
    }
    return Payments;
  };

  it('of a provider, inherited ones too, are protected through its application', async () => {
    const Payments = declare();
    class CardPayments extends Payments {}
    const app = await startWith({ providers: [CardPayments] });
    const breaker = app.get(CircuitBreakerRegistry).get('payments');
    await CardPayments.charge();
    expect(breaker.stats.successfulCalls).toBe(1);
    expect(
      app
        .get(ResilienceInspector)
        .report()
        .methods.map(({ name }) => name),
    ).toEqual(['Payments.refund', 'Payments.charge']);
    // Its own class is none of the application's.
    await Payments.charge();
    expect(breaker.stats.successfulCalls).toBe(1);
  });

  it('are that of the application that started last, until it shuts down', async () => {
    const Payments = declare();
    const apps = [
      await startWith({ providers: [Payments] }),
      await startWith({ providers: [Payments] }),
    ] as const;
    const calls = (): number[] =>
      apps.map((app) => app.get(CircuitBreakerRegistry).get('payments').stats.totalCalls);
    await Payments.charge();
    await apps[0].close();
    await Payments.charge();
    expect(calls()).toEqual([0, 2]);
    await apps[1].close();
    await Payments.charge();
    expect(calls()).toEqual([0, 2]);
  });

  it('R31: of a provider ask for what there is', async () => {
    const starting = startWith({ providers: [declare('paymets')] });
    expect(await issuesOf(starting)).toEqual([
      'Payments.charge: circuit breaker "paymets" is not configured (known: payments); did you mean "payments"?',
    ]);
  });

  it('R34: may answer with a static method', async () => {
    class Rates {
      @Fallback('cached')
      static async rate(): Promise<string> {
        throw down;
      }
      static cached(): string {
        return 'cached';
      }
      other(): string {
        return 'of the instance';
      }
    }
    await startWith({ providers: [Rates] });
    expect(await Rates.rate()).toBe('cached');
    class NoRates {
      @Fallback('other')
      static async rate(): Promise<string> {
        throw down;
      }
      other(): string {
        return 'of the instance';
      }
    }
    expect(await issuesOf(startWith({ providers: [NoRates] }))).toEqual([
      expect.stringContaining('NoRates.rate: @Fallback("other") names a method that the class'),
    ]);
  });

  it('of other classes have default options, and a warning that says why', async () => {
    await declare().charge();
    expect(warn.mock.calls).toEqual([
      [expect.stringContaining('or the class of a static method, belongs to no application')],
    ]);
  });
});

describe('R44: on a class', () => {
  const HIDDEN = Symbol('hidden');
  const AUDIT: unique symbol = Symbol.for('shop.audit');
  class Base {
    async inherited(): Promise<string> {
      return 'inherited';
    }
  }
  @CircuitProtected()
  class Orders extends Base {
    readonly hooks: string[] = [];
    constructor() {
      super();
      this.hooks.push('constructor');
    }
    get total(): number {
      return 3;
    }
    onModuleInit(): void {
      this.hooks.push('onModuleInit');
    }
    onApplicationBootstrap(): void {
      this.hooks.push('onApplicationBootstrap');
    }
    onModuleDestroy(): void {
      this.hooks.push('onModuleDestroy');
    }
    beforeApplicationShutdown(): void {
      this.hooks.push('beforeApplicationShutdown');
    }
    onApplicationShutdown(): void {
      this.hooks.push('onApplicationShutdown');
    }
    async charge(): Promise<string> {
      return 'charged';
    }
    @Retry({ maxAttempts: 2 })
    async refund(): Promise<string> {
      return 'refunded';
    }
    field = async (): Promise<string> => 'a property';
    static async create(): Promise<string> {
      return 'created';
    }
    async [HIDDEN](): Promise<string> {
      return 'hidden';
    }
    async configure(): Promise<string> {
      return 'configured';
    }
    *[Symbol.iterator](): Generator<string> {
      yield 'an item';
    }
    [inspect.custom](): string {
      return 'Orders(3)';
    }
    [captureRejectionSymbol](): void {
      this.hooks.push('rejection');
    }
    async [AUDIT](): Promise<string> {
      return 'audited';
    }
  }

  it('what the language calls stays synchronous under a policy that may wait', async () => {
    @Retry()
    class Money {
      constructor(private readonly cents: number) {}
      toString(): string {
        return `${String(this.cents)} ct`;
      }
      toLocaleString(): string {
        return `${String(this.cents)} Cent`;
      }
      valueOf(): number {
        return this.cents;
      }
      toJSON(): unknown {
        return { cents: this.cents };
      }
      then(resolve: (cents: number) => void): string {
        resolve(this.cents);
        return 'told';
      }
      async convert(): Promise<number> {
        return this.cents * 2;
      }
    }
    const money = new Money(42);
    expect([String(money), [money].toLocaleString()]).toEqual(['42 ct', '42 Cent']);
    expect([Number(money), JSON.stringify(money)]).toEqual([42, '{"cents":42}']);
    expect(money.then(() => undefined)).toBe('told');
    expect([await money, await money.convert()]).toEqual([42, 84]);
  });

  it('a decorator covers its own methods: no accessor, hook, constructor, static or inherited one', async () => {
    const app = await startWith({ providers: [Orders] });
    const orders = app.get(Orders);
    expect(orders.total).toBe(3);
    await Promise.all([orders.charge(), orders.refund(), orders.inherited(), orders.field()]);
    await Promise.all([orders.configure(), orders[HIDDEN](), Orders.create()]);
    await orders[AUDIT]();
    expect([...orders]).toEqual(['an item']);
    expect(inspect(orders)).toBe('Orders(3)');
    expect(breakersOf(app)).toEqual([
      'Orders.Symbol(hidden)',
      'Orders.Symbol(shop.audit)',
      'Orders.charge',
      'Orders.configure',
      'Orders.refund',
      'payments',
    ]);
    await app.close();
    expect(orders.hooks).toEqual([
      'constructor',
      'onModuleInit',
      'onApplicationBootstrap',
      'onModuleDestroy',
      'beforeApplicationShutdown',
      'onApplicationShutdown',
    ]);
  });

  it('leaves a module able to configure its middleware', async () => {
    const seen: string[] = [];
    @Retry({ maxAttempts: 2 })
    @Module({})
    class WithMiddleware implements NestModule {
      configure(consumer: MiddlewareConsumer): void {
        seen.push(typeof consumer.apply);
      }
    }
    await serve({ imports: [ResilienceModule.forRoot(), WithMiddleware] });
    expect(seen).toEqual(['function']);
  });

  it('stands outside those of its methods', async () => {
    let tries = 0;
    @CircuitProtected('payments')
    class Client {
      @Retry({ maxAttempts: 3 })
      call(): Promise<never> {
        tries++;
        return Promise.reject(down);
      }
    }
    const app = await startWith({ providers: [Client] });
    await lab.errorOf(app.get(Client).call());
    expect(tries).toBe(3);
    expect(app.get(CircuitBreakerRegistry).get('payments').stats.totalCalls).toBe(1);
  });

  it('two decorators read from the top as well', async () => {
    let tries = 0;
    @Retry({ maxAttempts: 5 })
    @CircuitProtected('payments')
    class Client {
      call(): Promise<never> {
        tries++;
        return Promise.reject(down);
      }
    }
    const app = await startWith({ providers: [Client] });
    const error = await lab.errorOf(app.get(Client).call());
    expect(error).toBeInstanceOf(CircuitBreakerError);
    expect(tries).toBe(2);
  });

  it.each([
    [
      'no method at all',
      class Empty {
        readonly id = 1;
      },
    ],
    [
      'only hooks and accessors',
      class Empty extends Base {
        onModuleInit(): void {
          /* hook */
        }
        get x(): number {
          return 1;
        }
      },
    ],
  ])('with %s it is an error', (_title, type) => {
    const error = thrownBy(() => {
      CircuitProtected()(type);
    });
    expect(error).toBeInstanceOf(ResilienceConfigError);
    expect((error as Error).message).toContain(
      '@CircuitProtected() on class Empty: it has no method of its own to protect',
    );
  });
});

describe('R42: what a method looks like', () => {
  const Tagged =
    (key: string): MethodDecorator =>
    (_target, _name, descriptor: PropertyDescriptor) => {
      Object.assign(descriptor.value as object, { [key]: true });
    };
  class Orders {
    readonly id = 7;
    @SetMetadata('above', 'yes')
    @Tagged('propertyAbove')
    @Retry()
    @Tagged('propertyBetween')
    @SetMetadata('between', 'yes')
    @CircuitProtected()
    @SetMetadata('below', 'yes')
    @Tagged('propertyBelow')
    async charge(amount: number, currency: string): Promise<number> {
      return currency === '' ? amount : this.id;
    }
  }
  class Plain {
    readonly id = 7;
  }
  const { charge } = Orders.prototype;

  it('has its name and length', () => {
    expect(charge.name).toBe('charge');
    expect(charge).toHaveLength(2);
  });

  it.each(['above', 'between', 'below'])('has the metadata set %s ours', (key) => {
    expect(Reflect.getMetadata(key, charge)).toBe('yes');
  });

  it.each(['propertyAbove', 'propertyBetween', 'propertyBelow'])('has its own %s', (key) => {
    expect(charge).toHaveProperty(key, true);
  });

  it('stays hidden and replaceable as methods of classes are', () => {
    expect(Object.getOwnPropertyDescriptor(Orders.prototype, 'charge')).toMatchObject({
      enumerable: false,
      configurable: true,
      writable: true,
    });
  });

  it.each([
    ['made by Nest', async () => (await startWith({ providers: [Orders] })).get(Orders)],
    [
      'made by a factory',
      async () =>
        (await startWith({ providers: [{ provide: Orders, useFactory: () => new Orders() }] })).get(
          Orders,
        ),
    ],
    ['made by hand', async () => new Orders()],
  ])('leaves no trace on an instance %s', async (_title, make) => {
    const orders = await make();
    await orders.charge(1, 'EUR');
    expect(Object.keys(orders)).toEqual(['id']);
    expect(JSON.stringify(orders)).toBe('{"id":7}');
    expect(orders).toEqual(new Plain());
    expect(Object.assign({}, orders)).toStrictEqual({ id: 7 });
    const seen: string[] = [];
    for (const key in orders) seen.push(key);
    expect(seen).toEqual(['id']);
  });

  it('hands on `this`, the arguments and the error object', async () => {
    class Echo {
      readonly id = 'echo';
      @Retry({ maxAttempts: 1, retryOn: [] })
      @CircuitProtected()
      async call(...args: unknown[]): Promise<unknown> {
        if (args[0] === down) throw down;
        return [this.id, ...args];
      }
    }
    const app = await startWith({ providers: [Echo] });
    const echo = app.get(Echo);
    await expect(echo.call(1, undefined, 'x')).resolves.toEqual(['echo', 1, undefined, 'x']);
    await expect(echo.call(down)).rejects.toBe(down);
    const stranger = { id: 'stranger' };
    await expect(echo.call.call(stranger as Echo, 2)).resolves.toEqual(['stranger', 2]);
  });

  it('can be spied on, on the instance and on the prototype', async () => {
    const app = await startWith({ providers: [Orders] });
    const orders = app.get(Orders);
    const onInstance = jest.spyOn(orders, 'charge');
    await expect(orders.charge(1, 'EUR')).resolves.toBe(7);
    expect(onInstance).toHaveBeenCalledWith(1, 'EUR');
    onInstance.mockResolvedValueOnce(8);
    await expect(orders.charge(1, 'EUR')).resolves.toBe(8);
    onInstance.mockRestore();
    const onPrototype = jest.spyOn(Orders.prototype, 'charge').mockResolvedValue(9);
    await expect(orders.charge(1, 'EUR')).resolves.toBe(9);
    onPrototype.mockRestore();
    await expect(orders.charge(1, 'EUR')).resolves.toBe(7);
  });

  it('works through a Proxy around the instance', async () => {
    const app = await startWith({ providers: [Orders] });
    const proxy = new Proxy(app.get(Orders), {});
    await expect(proxy.charge(1, 'EUR')).resolves.toBe(7);
    const breaker = [...app.get(CircuitBreakerRegistry)].find(
      ({ name }) => name === 'Orders.charge',
    );
    expect(breaker?.stats.totalCalls).toBe(1);
  });

  it('works on an instance with private fields and from its constructor', async () => {
    class Warm {
      readonly #secret = 5;
      readonly warmed: Promise<number>;
      constructor() {
        this.warmed = this.read();
      }
      @CircuitProtected()
      async read(): Promise<number> {
        return this.#secret;
      }
    }
    const app = await startWith({ providers: [Warm] });
    await expect(app.get(Warm).warmed).resolves.toBe(5);
    await expect(app.get(Warm).read()).resolves.toBe(5);
  });
});
