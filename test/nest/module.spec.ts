import 'reflect-metadata';
import { Inject, Injectable, type Type } from '@nestjs/common';
import { ConfigModule, ConfigService } from '@nestjs/config';
import { LazyModuleLoader } from '@nestjs/core';
import { Test, type TestingModule } from '@nestjs/testing';
import {
  CircuitBreaker,
  CircuitBreakerRegistry,
  CircuitProtected,
  InjectCircuitBreaker,
  InjectPolicy,
  type Policy,
  ResilienceModule,
  type ResilienceModuleAsyncOptions,
  type ResilienceModuleOptions,
  type ResilienceOptionsFactory,
  Resilient,
  Retry,
  RetryConfig,
  RetrySync,
  getCircuitBreakerToken,
  getPolicyToken,
  pipeline,
} from 'nestjs-bulwark';
import type { ResilienceRegistry } from '../../lib/nest/registry.js';
import { REGISTRY } from '../../lib/nest/tokens.js';
import { Lab, settled } from '../support/lab.js';
import { closeAll, issuesOf, moduleOf, start } from './support/applications.js';

const options: ResilienceModuleOptions = {
  circuitBreakers: { payments: { failureThreshold: 2, recoveryTimeout: '30s' } },
  policies: { catalog: { retry: { maxAttempts: 2 }, circuitBreaker: 'payments' } },
};

@Injectable()
class OptionsFactory implements ResilienceOptionsFactory {
  createResilienceOptions(): Promise<ResilienceModuleOptions> {
    return Promise.resolve(options);
  }
}
const OptionsModule = moduleOf({ providers: [OptionsFactory], exports: [OptionsFactory] });

@Injectable()
class ThroughConstructor {
  constructor(
    @InjectCircuitBreaker('payments') readonly breaker: CircuitBreaker,
    @InjectPolicy('catalog') readonly policy: Policy,
  ) {}
}

@Injectable()
class OnProperties {
  @InjectCircuitBreaker('payments') readonly breaker!: CircuitBreaker;
  @InjectPolicy('catalog') readonly policy!: Policy;
}

const ways: [string, () => object][] = [
  ['forRoot', () => ResilienceModule.forRoot(options)],
  [
    'forRootAsync with useFactory',
    () => ResilienceModule.forRootAsync({ useFactory: () => options }),
  ],
  [
    'forRootAsync with useFactory, inject and imports',
    () =>
      ResilienceModule.forRootAsync({
        imports: [OptionsModule],
        inject: [OptionsFactory],
        useFactory: (factory: OptionsFactory) => factory.createResilienceOptions(),
      }),
  ],
  ['forRootAsync with useClass', () => ResilienceModule.forRootAsync({ useClass: OptionsFactory })],
  [
    'forRootAsync with useExisting',
    () => ResilienceModule.forRootAsync({ imports: [OptionsModule], useExisting: OptionsFactory }),
  ],
];
const forFeature: [string, () => object] = [
  'forRoot and forFeature',
  () =>
    moduleOf({
      imports: [ResilienceModule.forRoot(), ResilienceModule.forFeature(options)],
      exports: [ResilienceModule],
    }),
];

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(closeAll);

describe.each(ways)('R30: with %s', (_way, make) => {
  const imports = (): [Type] => [make() as Type];

  it.each([['a constructor', ThroughConstructor] as const, ['properties', OnProperties] as const])(
    'injects breakers and policies through %s',
    async (_title, type) => {
      const app = await start({ imports: imports(), providers: [type] });
      const { breaker, policy } = app.get<OnProperties>(type);
      expect(breaker).toBeInstanceOf(CircuitBreaker);
      expect(breaker.name).toBe('payments');
      expect(breaker.options).toMatchObject({ failureThreshold: 2, recoveryTimeout: 30_000 });
      expect(policy.name).toBe('catalog');
      expect(app.get(CircuitBreakerRegistry).get('payments')).toBe(breaker);
    },
  );

  it('registers every name under its token', async () => {
    const app = await start({ imports: imports() });
    const registered = app.get(CircuitBreakerRegistry).get('payments');
    expect(app.get(getCircuitBreakerToken('payments'))).toBe(registered);
    expect(app.get<Policy>(getPolicyToken('catalog')).name).toBe('catalog');
  });

  it('gives factories the breaker by its token', async () => {
    const app = await start({
      imports: imports(),
      providers: [
        {
          provide: 'client',
          inject: [getCircuitBreakerToken('payments')],
          useFactory: (breaker: CircuitBreaker) => ({ breaker }),
        },
      ],
    });
    const registered = app.get(CircuitBreakerRegistry).get('payments');
    expect(app.get<{ breaker: CircuitBreaker }>('client').breaker).toBe(registered);
  });

  it('is the registry that decorators use', async () => {
    class Orders {
      @CircuitProtected('payments')
      async charge(): Promise<string> {
        return 'charged';
      }
    }
    const app = await start({ imports: imports(), providers: [Orders] });
    await app.get(Orders).charge();
    expect(app.get(CircuitBreakerRegistry).get('payments').stats.successfulCalls).toBe(1);
  });
});

describe('R30: names that only forRootAsync knows', () => {
  const late = (name: string): Type =>
    ResilienceModule.forRootAsync({
      useFactory: () => ({ circuitBreakers: { [name]: {} } }),
    }) as never;

  it('are injected without being repeated', async () => {
    class Client {
      @InjectCircuitBreaker('late-property') readonly breaker!: CircuitBreaker;
    }
    const app = await start({ imports: [late('late-property')], providers: [Client] });
    expect(app.get(Client).breaker.name).toBe('late-property');
  });

  it('reach a factory by their token', async () => {
    const app = await start({
      imports: [late('late-factory')],
      providers: [
        {
          provide: 'client',
          inject: [getCircuitBreakerToken('late-factory')],
          useFactory: (breaker: CircuitBreaker) => breaker.name,
        },
      ],
    });
    expect(app.get('client')).toBe('late-factory');
  });

  it('are found by app.get although nobody asked before', async () => {
    const token = 'nestjs-bulwark:circuit-breaker:never-asked';
    const app = await start({ imports: [late('never-asked')] });
    expect(app.get<CircuitBreaker>(token).name).toBe('never-asked');
    expect(getCircuitBreakerToken('never-asked')).toBe(token);
  });
});

describe('R30: forRootAsync', () => {
  const factory = { useFactory: () => options };
  const type = { useClass: OptionsFactory };
  it.each([
    ['none', {}, 0],
    ['a factory and a class', { ...factory, ...type }, 2],
    ['all three', { ...factory, ...type, useExisting: OptionsFactory }, 3],
  ])('takes exactly one way to the options, not %s', (_title, given, count) => {
    expect(() => ResilienceModule.forRootAsync(given)).toThrow(
      `exactly one of useFactory, useClass, useExisting, got ${String(count)}`,
    );
  });

  it.each<[string, unknown, string]>([
    ['nothing', undefined, ' must be an object of options, got undefined'],
    ['null', null, ' must be an object of options, got null'],
    [
      'a misspelt option',
      { useFactroy: () => options },
      '.useFactroy is not a known option; did you mean "useFactory"?',
    ],
    ['an object as factory', { useFactory: {} }, '.useFactory must be a function, got {}'],
    ['an object as class', { useClass: {} }, '.useClass must be a class, got {}'],
    [
      'null for a provider',
      { useExisting: null },
      '.useExisting must be the token of a provider, got null',
    ],
    ['imports that are no list', { ...factory, imports: {} }, '.imports must be a list, got {}'],
    ['one thing to inject', { ...factory, inject: 'a' }, '.inject must be a list, got "a"'],
    ['isGlobal', { ...factory, isGlobal: 1 }, '.isGlobal must be true or false, got 1'],
  ])('says what is wrong with %s', async (_title, given, problem) => {
    const making = Promise.resolve().then(() => ResilienceModule.forRootAsync(given as never));
    expect(await issuesOf(making)).toEqual([`forRootAsync()${problem}`]);
  });

  @Injectable()
  class NoFactory {
    readonly options = options;
  }
  const provided = moduleOf({
    providers: [NoFactory, { provide: 'options', useValue: null }],
    exports: [NoFactory, 'options'],
  });
  it.each<[string, ResilienceModuleAsyncOptions, string]>([
    ['useClass', { useClass: NoFactory as never }, 'got an object of NoFactory'],
    ['useExisting', { useExisting: NoFactory }, 'got an object of NoFactory'],
    ['useExisting', { useExisting: 'options' }, 'got null'],
  ])('refuses a %s without the method at start-up', async (way, given, got) => {
    const starting = start({
      imports: [ResilienceModule.forRootAsync({ imports: [provided], ...given })],
    });
    expect(await issuesOf(starting)).toEqual([
      `forRootAsync().${way} must have the method createResilienceOptions(), ${got}`,
    ]);
  });

  it('is the place for isGlobal, and not what it makes the options with', async () => {
    const given = { ...options, isGlobal: false, retry: {} };
    const imports = [ResilienceModule.forRootAsync({ useFactory: () => given })];
    expect(await issuesOf(start({ imports }))).toEqual([
      'options.retry is not a known option',
      'options.isGlobal must be given to forRootAsync() itself, got false',
    ]);
  });

  it.each([undefined, null, 'fast'])('refuses %s as the options', async (given) => {
    const useFactory = (): ResilienceModuleOptions => given as never;
    const starting = start({ imports: [ResilienceModule.forRootAsync({ useFactory })] });
    const got = typeof given === 'string' ? '"fast"' : String(given);
    expect(await issuesOf(starting)).toEqual([`options must be an object of options, got ${got}`]);
  });

  it('reads the options from @nestjs/config', async () => {
    const app = await start({
      imports: [
        ResilienceModule.forRootAsync({
          imports: [
            ConfigModule.forRoot({ load: [() => ({ threshold: 7 })], ignoreEnvFile: true }),
          ],
          inject: [ConfigService],
          useFactory: (config: ConfigService) => ({
            circuitBreakers: { payments: { failureThreshold: config.get<number>('threshold') } },
          }),
        }),
      ],
    });
    expect(app.get(CircuitBreakerRegistry).get('payments').options.failureThreshold).toBe(7);
  });

  it('passes on what the factory throws', async () => {
    const down = new Error('no configuration server');
    const starting = start({
      imports: [ResilienceModule.forRootAsync({ useFactory: () => Promise.reject(down) })],
    });
    await expect(starting).rejects.toBe(down);
  });
});

describe('R30: forRoot without arguments', () => {
  it('starts with nothing configured', async () => {
    const app = await start({ imports: [ResilienceModule.forRoot()] });
    const registry = app.get(CircuitBreakerRegistry);
    expect(registry.names).toEqual([]);
    expect([...registry]).toEqual([]);
  });
});

describe('R30: forFeature', () => {
  class Recommendations {
    constructor(@InjectCircuitBreaker('recommendations') readonly breaker: CircuitBreaker) {}
  }
  class Reviews {
    @InjectCircuitBreaker('reviews') readonly breaker!: CircuitBreaker;
  }
  const feature = (named: object, provider: Type): Type =>
    moduleOf({ imports: [ResilienceModule.forFeature(named)], providers: [provider] });

  it('adds the breakers of several modules to the one registry', async () => {
    const app = await start({
      imports: [
        feature({ circuitBreakers: { recommendations: { failureThreshold: 3 } } }, Recommendations),
        feature({ circuitBreakers: { reviews: {} } }, Reviews),
        ResilienceModule.forRoot(options),
      ],
    });
    const registry = app.get(CircuitBreakerRegistry);
    expect(registry.names.toSorted()).toEqual(['payments', 'recommendations', 'reviews']);
    const { breaker } = app.get(Recommendations, { strict: false });
    expect(breaker).toBe(registry.get('recommendations'));
    expect(breaker.options.failureThreshold).toBe(3);
    expect(app.get(Reviews, { strict: false }).breaker).toBe(registry.get('reviews'));
    expect(app.get(getCircuitBreakerToken('reviews'), { strict: false })).toBe(
      registry.get('reviews'),
    );
  });

  it('shares a name that two modules configure alike', async () => {
    const named = (): object => ({ circuitBreakers: { recommendations: { failureThreshold: 3 } } });
    class Also extends Recommendations {}
    const app = await start({
      imports: [
        ResilienceModule.forRoot(),
        feature(named(), Recommendations),
        feature(named(), Also),
      ],
    });
    const { breaker } = app.get(Recommendations, { strict: false });
    expect(app.get(Also, { strict: false }).breaker).toBe(breaker);
  });

  it('takes an undefined option for an absent one when it compares', async () => {
    const app = await start({
      imports: [
        ResilienceModule.forRoot({ circuitBreakers: { reviews: {} } }),
        ResilienceModule.forFeature({ circuitBreakers: { reviews: { isFailure: undefined } } }),
      ],
    });
    expect(app.get(CircuitBreakerRegistry).names).toEqual(['reviews']);
  });

  it('brings retries and policies as well', async () => {
    class Catalog {
      tries = 0;
      @Retry('eager')
      async list(): Promise<never> {
        this.tries++;
        throw new Error('down');
      }
    }
    const app = await start({
      imports: [
        ResilienceModule.forRoot({ runtime: lab.runtime }),
        feature({ retries: { eager: { maxAttempts: 4 } } }, Catalog),
      ],
    });
    const catalog = app.get(Catalog, { strict: false });
    await lab.errorOf(catalog.list());
    expect(catalog.tries).toBe(4);
  });

  it.each([forFeature])(
    'works where the root module comes from elsewhere: %s',
    async (_title, make) => {
      const app = await start({ imports: [make() as Type], providers: [OnProperties] });
      expect(app.get(OnProperties).breaker.name).toBe('payments');
    },
  );
});

describe('R30: isGlobal', () => {
  const nested = (resilience: object, visible: boolean): object => ({
    imports: [
      resilience as Type,
      moduleOf({
        imports: visible ? [resilience as Type] : [],
        providers: [ThroughConstructor],
      }),
    ],
  });

  it.each([undefined, true])('%s: every module may inject', async (isGlobal) => {
    const app = await start(nested(ResilienceModule.forRoot({ ...options, isGlobal }), false));
    expect(app.get(ThroughConstructor, { strict: false }).breaker.name).toBe('payments');
  });

  it.each([
    ['forRoot', () => ResilienceModule.forRoot({ ...options, isGlobal: false })],
    [
      'forRootAsync',
      () => ResilienceModule.forRootAsync({ useFactory: () => options, isGlobal: false }),
    ],
  ])('false (%s): only modules that import it may inject', async (_title, make) => {
    await expect(start(nested(make(), false))).rejects.toThrow("Nest can't resolve dependencies");
    const app = await start(nested(make(), true));
    expect(app.get(ThroughConstructor, { strict: false }).breaker.name).toBe('payments');
  });

  it('false: decorators still find their registry everywhere', async () => {
    class Orders {
      @CircuitProtected('payments')
      async charge(): Promise<void> {
        /* charged */
      }
    }
    const app = await start({
      imports: [
        ResilienceModule.forRoot({ ...options, isGlobal: false }),
        moduleOf({ providers: [Orders] }),
      ],
    });
    await app.get(Orders, { strict: false }).charge();
    expect(app.get(CircuitBreakerRegistry).get('payments').stats.successfulCalls).toBe(1);
  });
});

describe('R30: CircuitBreakerRegistry', () => {
  it('is injectable, knows the configured names and iterates over every breaker', async () => {
    class Orders {
      constructor(@Inject(CircuitBreakerRegistry) readonly breakers: CircuitBreakerRegistry) {}
      @CircuitProtected()
      async charge(): Promise<void> {
        /* charged */
      }
    }
    const app = await start({ imports: [ResilienceModule.forRoot(options)], providers: [Orders] });
    const { breakers } = app.get(Orders);
    expect(breakers.names).toEqual(['payments']);
    expect(breakers.has('payments')).toBe(true);
    expect(breakers.has('Orders.charge')).toBe(false);
    expect([...breakers].map(({ name }) => name).toSorted()).toEqual(['Orders.charge', 'payments']);
    expect(() => breakers.get('payment')).toThrow(
      'CircuitBreakerRegistry.get(): circuit breaker "payment" is not configured (known: payments); did you mean "payments"?',
    );
  });

  it('R81: iterates over breakers made by hand, though they share a name', async () => {
    const [one, other] = [new CircuitBreaker('mine'), new CircuitBreaker('mine')];
    class Orders {
      @CircuitProtected(one)
      async charge(): Promise<void> {
        /* charged */
      }
      @CircuitProtected(other)
      async refund(): Promise<void> {
        /* refunded */
      }
    }
    const app = await start({ imports: [ResilienceModule.forRoot()], providers: [Orders] });
    expect([...app.get(CircuitBreakerRegistry)]).toEqual([one, other]);
  });

  it('R81: tells breakers apart by id', async () => {
    class Orders {
      @CircuitProtected()
      async charge(): Promise<void> {
        /* charged */
      }
    }
    const app = await start({ imports: [ResilienceModule.forRoot(options)], providers: [Orders] });
    const ids = [...app.get(CircuitBreakerRegistry)].map((breaker) => breaker.snapshot().id);
    expect(ids.toSorted()).toEqual(['breaker:Orders.charge', 'breaker:payments']);
  });
});

describe('R30: defaults', () => {
  const defaults: ResilienceModuleOptions['defaults'] = {
    circuitBreaker: { failureThreshold: 9, successThreshold: 4 },
    retry: { maxAttempts: 5, baseDelay: 7, jitter: 0 },
  };
  const complete = new RetryConfig({ maxAttempts: 2 });
  const reply = (): Promise<never> => Promise.reject(new Error('down'));

  class Client {
    tries = 0;
    @CircuitProtected()
    async plain(): Promise<void> {
      /* fine */
    }
    @CircuitProtected({ failureThreshold: 1, successThreshold: undefined })
    async own(): Promise<void> {
      /* fine */
    }
    @Retry()
    retried(): Promise<never> {
      this.tries++;
      return reply();
    }
    @Retry({ maxAttempts: 3 })
    retriedLess(): Promise<never> {
      this.tries++;
      return reply();
    }
    @Retry(complete)
    retriedAsWritten(): Promise<never> {
      this.tries++;
      return reply();
    }
  }

  const begin = async (): Promise<{ client: Client; breakers: CircuitBreakerRegistry }> => {
    const app = await start({
      imports: [
        ResilienceModule.forRoot({
          ...options,
          circuitBreakers: { payments: { failureThreshold: 2 }, stock: undefined as never },
          defaults,
          runtime: lab.runtime,
        }),
      ],
      providers: [Client],
    });
    return { client: app.get(Client), breakers: app.get(CircuitBreakerRegistry) };
  };

  it.each([
    ['a name with options of its own', 'payments', 2, 4],
    ['a name without options', 'stock', 9, 4],
    ['a decorator without options', 'Client.plain', 9, 4],
    ['a decorator with options, one of them undefined', 'Client.own', 1, 4],
  ])('stand under %s', async (_title, name, failureThreshold, successThreshold) => {
    const { breakers } = await begin();
    const { options: inForce } = [...breakers].find((each) => each.name === name) ?? {};
    expect(inForce).toMatchObject({ failureThreshold, successThreshold });
  });

  it.each([
    ['retried', 5, 7 + 14 + 28 + 56],
    ['retriedLess', 3, 7 + 14],
    ['retriedAsWritten', 2, 100],
  ] as const)('of retries: %s makes %i attempts in %i ms', async (method, attempts, duration) => {
    const { client } = await begin();
    await lab.errorOf(client[method]());
    expect(client.tries).toBe(attempts);
    expect(lab.clock.now()).toBe(duration);
  });

  it('of timings are for a named retry as a promise and without one (R85)', async () => {
    class Files {
      @RetrySync('files')
      read(): string {
        return 'read';
      }
      @Retry('files')
      async fetch(): Promise<string> {
        return 'fetched';
      }
    }
    const app = await start({
      imports: [ResilienceModule.forRoot({ retries: { files: {} }, defaults: { timings: 'all' } })],
      providers: [Files],
    });
    const files = app.get(Files);
    expect([files.read(), await files.fetch()]).toEqual(['read', 'fetched']);
    const made = app.get<ResilienceRegistry>(REGISTRY).policies();
    expect(made.map(({ timings }) => timings?.count)).toEqual([1, 1]);
  });

  it('do not change what was given to the module', async () => {
    const given = { failureThreshold: 2 };
    await start({
      imports: [ResilienceModule.forRoot({ circuitBreakers: { payments: given }, defaults })],
    });
    expect(given).toEqual({ failureThreshold: 2 });
  });
});

describe('R80: runtime', () => {
  it('gives clock, random and logger to everything made in the application', async () => {
    class Client {
      @CircuitProtected({ failureThreshold: 1, isFailure: () => JSON.parse('{') as boolean })
      async call(): Promise<string> {
        return 'fine';
      }
    }
    const app = await start({
      imports: [ResilienceModule.forRoot({ ...options, runtime: lab.runtime })],
      providers: [Client],
    });
    await app.get(Client).call();
    expect(lab.logger.errors[0]?.message).toContain('"Client.call": isFailure threw');
    const payments = app.get(CircuitBreakerRegistry).get('payments');
    await settled(payments.execute(() => Promise.reject(new Error('down'))));
    await settled(payments.execute(() => Promise.reject(new Error('down'))));
    lab.clock.jump(12_000);
    expect(payments.remainingTimeout).toBe(18_000);
  });
});

describe('overrideProvider of a testing module', () => {
  @Injectable()
  class Orders {
    constructor(
      @InjectCircuitBreaker('payments') readonly breaker: CircuitBreaker,
      @InjectPolicy('catalog') readonly policy: Policy,
    ) {}
    @CircuitProtected('payments')
    async charge(): Promise<string> {
      return 'charged';
    }
    @Resilient('catalog')
    async list(): Promise<string> {
      return 'listed';
    }
  }
  const mine = (): CircuitBreaker => {
    const breaker = new CircuitBreaker('mine');
    breaker.isolate();
    return breaker;
  };
  const overriding = async (
    imports: object[],
    token: string,
    value: unknown,
  ): Promise<TestingModule> => {
    const metadata = { imports: imports as Type[], providers: [Orders] };
    const module = await Test.createTestingModule(metadata)
      .overrideProvider(token)
      .useValue(value)
      .compile();
    return module.init();
  };
  const token = getCircuitBreakerToken('payments');

  it.each<[string, () => object[]]>([
    ...ways.map(([way, make]): [string, () => object[]] => [way, () => [make()]]),
    ['forFeature', () => [ResilienceModule.forFeature(options), ResilienceModule.forRoot()]],
  ])('puts a circuit breaker everywhere, with %s', async (_way, make) => {
    const breaker = mine();
    const app = await overriding(make(), token, breaker);
    const orders = app.get(Orders);
    expect(orders.breaker).toBe(breaker);
    expect(app.get(CircuitBreakerRegistry).get('payments')).toBe(breaker);
    await expect(orders.charge()).rejects.toThrow('Circuit breaker "mine"');
    await expect(orders.list()).rejects.toThrow('Circuit breaker "mine"');
    await app.close();
  });

  it('puts a policy in the place of a named one', async () => {
    const policy = pipeline(mine());
    const app = await overriding(
      [ResilienceModule.forRoot(options)],
      getPolicyToken('catalog'),
      policy,
    );
    const orders = app.get(Orders);
    expect(orders.policy).toBe(policy);
    await expect(orders.list()).rejects.toThrow('Circuit breaker "mine"');
    await expect(orders.charge()).resolves.toBe('charged');
    await app.close();
  });

  it.each([
    ['a stub', { state: 'open' }],
    ['a policy of another kind', pipeline(mine())],
  ])('only injects %s', async (_what, value) => {
    const app = await overriding([ResilienceModule.forRoot(options)], token, value);
    const orders = app.get(Orders);
    expect(orders.breaker).toBe(value);
    await expect(orders.charge()).resolves.toBe('charged');
    await app.close();
  });

  it('is not what a provider of another module does', async () => {
    const own = moduleOf({ providers: [{ provide: token, useValue: mine() }] });
    const app = await start({
      imports: [ResilienceModule.forRoot(options), own],
      providers: [Orders],
    });
    await expect(app.get(Orders).charge()).resolves.toBe('charged');
  });
});

describe('R32: two applications in one process', () => {
  class Orders {
    constructor(@InjectCircuitBreaker('payments') readonly breaker: CircuitBreaker) {}
    @CircuitProtected('payments')
    async charge(error?: Error): Promise<void> {
      if (error) throw error;
    }
    @CircuitProtected({ failureThreshold: 1 })
    async refund(error?: Error): Promise<void> {
      if (error) throw error;
    }
  }

  it('never share a breaker', async () => {
    const [one, other] = [
      await start({ imports: [ResilienceModule.forRoot(options)], providers: [Orders] }),
      await start({ imports: [ResilienceModule.forRoot(options)], providers: [Orders] }),
    ];
    const down = new Error('down');
    for (const method of ['charge', 'charge', 'refund'] as const)
      await settled(one.get(Orders)[method](down));
    const statesOf = (app: typeof one): string[] =>
      [...app.get(CircuitBreakerRegistry)].map(({ name, state }) => `${name} ${state}`).toSorted();
    expect(statesOf(one)).toEqual(['Orders.refund open', 'payments open']);
    expect(statesOf(other)).toEqual(['Orders.refund closed', 'payments closed']);
    expect(other.get(Orders).breaker).not.toBe(one.get(Orders).breaker);
    await expect(other.get(Orders).charge()).resolves.toBeUndefined();
    await expect(one.get(Orders).charge()).rejects.toThrow('is open');
  });

  it('may configure a name differently, or not at all', async () => {
    const strict = await start({ imports: [ResilienceModule.forRoot(options)] });
    const other = await start({ imports: [ResilienceModule.forRoot()] });
    expect(strict.get(CircuitBreakerRegistry).has('payments')).toBe(true);
    expect(other.get(CircuitBreakerRegistry).names).toEqual([]);
  });

  it('do not share one dynamic module either', async () => {
    const resilience = ResilienceModule.forRoot(options);
    const one = await start({ imports: [resilience] });
    const other = await start({ imports: [resilience] });
    const token = getCircuitBreakerToken('payments');
    expect(one.get(token)).not.toBe(other.get(token));
  });
});

describe('a lazily loaded module', () => {
  class Reports {
    @InjectCircuitBreaker('payments') readonly breaker!: CircuitBreaker;
    @CircuitProtected('payments')
    async build(): Promise<string> {
      return 'built';
    }
  }
  class Extras {
    @InjectCircuitBreaker('extras') readonly breaker!: CircuitBreaker;
    @CircuitProtected('extras')
    async build(): Promise<string> {
      return 'built';
    }
  }
  const load = async (type: Type): Promise<Awaited<ReturnType<LazyModuleLoader['load']>>> => {
    const app = await start({
      imports: [ResilienceModule.forRoot({ ...options, runtime: lab.runtime })],
    });
    breakers = app.get(CircuitBreakerRegistry);
    return app.get(LazyModuleLoader).load(() => type);
  };
  let breakers: CircuitBreakerRegistry;

  it('R30: gets the breakers of the application', async () => {
    const lazy = await load(moduleOf({ providers: [Reports] }));
    const reports = lazy.get(Reports);
    await expect(reports.build()).resolves.toBe('built');
    expect(reports.breaker).toBe(breakers.get('payments'));
    expect(breakers.get('payments').stats.successfulCalls).toBe(1);
  });

  it('R30: may bring a feature of its own', async () => {
    const lazy = await load(
      moduleOf({
        imports: [ResilienceModule.forFeature({ circuitBreakers: { extras: {} } })],
        providers: [Extras],
      }),
    );
    const extras = lazy.get(Extras);
    await expect(extras.build()).resolves.toBe('built');
    expect(extras.breaker).toBe(breakers.get('extras'));
    expect(breakers.get('extras').stats.successfulCalls).toBe(1);
  });

  it('R31: fails to load with a feature that configures a name differently', async () => {
    const loading = load(
      moduleOf({
        imports: [
          ResilienceModule.forFeature({ circuitBreakers: { payments: { failureThreshold: 1 } } }),
        ],
      }),
    );
    await expect(loading).rejects.toThrow(
      'circuit breaker "payments" is configured more than once, with different options',
    );
  });

  it('R31: a name nobody configured is refused at the first call', async () => {
    class Unknown {
      @CircuitProtected('paymnets')
      async build(): Promise<void> {
        /* built */
      }
    }
    const lazy = await load(moduleOf({ providers: [Unknown] }));
    expect(() => lazy.get(Unknown).build()).toThrow(
      'Unknown.build: circuit breaker "paymnets" is not configured (known: payments); did you mean "payments"?',
    );
  });
});
