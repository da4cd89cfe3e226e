import 'reflect-metadata';
import {
  Controller,
  Get,
  Inject,
  Injectable,
  type MiddlewareConsumer,
  Module,
  type ModuleMetadata,
  type NestMiddleware,
  type NestModule,
  Optional,
  Scope,
  type Type,
  UseInterceptors,
} from '@nestjs/common';
import { APP_INTERCEPTOR, LazyModuleLoader } from '@nestjs/core';
import {
  Bulkhead,
  CircuitBreaker,
  CircuitProtected,
  Fallback,
  InjectCircuitBreaker,
  InjectPolicy,
  type NamedOptions,
  ResilienceConfigError,
  ResilienceInterceptor,
  ResilienceModule,
  type ResilienceModuleOptions,
  Retry,
  RetrySync,
  TimeLimit,
  getCircuitBreakerToken,
  pipeline,
  retry,
} from 'nestjs-bulwark';
import { Span } from './support/span.js';
import {
  closeAll,
  issuesOf,
  moduleOf,
  serve,
  start,
  startUpIssues,
} from './support/applications.js';

afterEach(closeAll);

const known: ResilienceModuleOptions = {
  circuitBreakers: { payments: {}, inventory: {} },
  retries: { api: {} },
  policies: { catalog: { retry: 'api' } },
};
const knowing = (metadata: ModuleMetadata): ModuleMetadata => ({
  ...metadata,
  imports: [ResilienceModule.forRoot(known), ...(metadata.imports ?? [])],
});
const issuesWith = (given: unknown): Promise<readonly string[]> =>
  startUpIssues({ imports: [ResilienceModule.forRoot(given as ResilienceModuleOptions)] });

@Injectable()
class ByConstructor {
  constructor(
    @Inject('answer') readonly answer: number,
    @InjectCircuitBreaker('paymnets') readonly breaker: CircuitBreaker,
  ) {}
}
@Injectable()
class ByProperty {
  @InjectCircuitBreaker('inventroy') readonly breaker!: CircuitBreaker;
}
@Injectable()
class Inheriting extends ByProperty {}
@Injectable()
class InheritingConstructor extends ByConstructor {}
@Injectable()
class ByPolicy {
  @InjectPolicy('katalog') readonly policy!: unknown;
}
@Injectable()
class ByPlainInject {
  constructor(@Inject(getCircuitBreakerToken('payment')) readonly breaker: CircuitBreaker) {}
}
@Injectable()
class Paying {
  constructor(@InjectCircuitBreaker('payments') readonly breaker: CircuitBreaker) {}
}
@Injectable()
class ByDecorator {
  @CircuitProtected('zzz')
  async charge(): Promise<void> {
    /* charged */
  }
}
@Injectable({ scope: Scope.REQUEST })
class ByRequestScoped {
  @Retry('apis')
  async charge(): Promise<void> {
    /* charged */
  }
}
@Injectable()
class BySyncRetry {
  @RetrySync('ap')
  charge(): void {
    /* charged */
  }
}
@Controller()
class ByInterceptor {
  @UseInterceptors(ResilienceInterceptor('cataloge'))
  @Get()
  list(): string[] {
    return [];
  }
}
@Controller()
class ByInterceptorPart {
  @UseInterceptors(ResilienceInterceptor({ circuitBreaker: 'inventori' }))
  @Get()
  list(): string[] {
    return [];
  }
}

@Controller()
class ByNothing {}

const breakers = 'known: payments, inventory';
const answer = { provide: 'answer', useValue: 42 };
const unknownNames: [string, ModuleMetadata, string][] = [
  [
    'a constructor parameter',
    { providers: [ByConstructor, answer] },
    `ByConstructor, constructor parameter 1: circuit breaker "paymnets" is not configured (${breakers}); did you mean "payments"?`,
  ],
  [
    'a property',
    { providers: [ByProperty] },
    `ByProperty.breaker: circuit breaker "inventroy" is not configured (${breakers}); did you mean "inventory"?`,
  ],
  [
    'an inherited property',
    { providers: [Inheriting] },
    `Inheriting.breaker: circuit breaker "inventroy" is not configured (${breakers}); did you mean "inventory"?`,
  ],
  [
    'an inherited constructor',
    { providers: [InheritingConstructor, answer] },
    `InheritingConstructor, constructor parameter 1: circuit breaker "paymnets" is not configured (${breakers}); did you mean "payments"?`,
  ],
  [
    'the token in @Inject',
    { providers: [ByPlainInject] },
    `ByPlainInject, constructor parameter 0: circuit breaker "payment" is not configured (${breakers}); did you mean "payments"?`,
  ],
  [
    "a factory's inject",
    {
      providers: [
        { provide: 'client', inject: [getCircuitBreakerToken('payment')], useFactory: () => 1 },
      ],
    },
    `provider "client", inject[0]: circuit breaker "payment" is not configured (${breakers}); did you mean "payments"?`,
  ],
  [
    'an injected policy',
    { providers: [ByPolicy] },
    'ByPolicy.policy: policy "katalog" is not configured (known: catalog); did you mean "catalog"?',
  ],
  [
    'a decorator, with nothing near',
    { providers: [ByDecorator] },
    `ByDecorator.charge: circuit breaker "zzz" is not configured (${breakers})`,
  ],
  [
    'a request-scoped provider',
    { providers: [ByRequestScoped] },
    'ByRequestScoped.charge: retry "apis" is not configured (known: api); did you mean "api"?',
  ],
  [
    'a synchronous retry',
    { providers: [BySyncRetry] },
    'BySyncRetry.charge: retry "ap" is not configured (known: api); did you mean "api"?',
  ],
  [
    'an interceptor',
    { controllers: [ByInterceptor] },
    'ResilienceInterceptor(cataloge): policy "cataloge" is not configured (known: catalog); did you mean "catalog"?',
  ],
  [
    'a part of an interceptor',
    { controllers: [ByInterceptorPart] },
    `ResilienceInterceptor(circuitBreaker): circuit breaker "inventori" is not configured (${breakers}); did you mean "inventory"?`,
  ],
  [
    'an application-wide interceptor',
    { providers: [{ provide: APP_INTERCEPTOR, useClass: ResilienceInterceptor('catalogue') }] },
    'ResilienceInterceptor(catalogue): policy "catalogue" is not configured (known: catalog); did you mean "catalog"?',
  ],
  [
    'a list of instances made by a factory',
    { providers: [{ provide: 'made', useFactory: () => [new ByDecorator()] }] },
    `ByDecorator.charge: circuit breaker "zzz" is not configured (${breakers})`,
  ],
  [
    'an instance made by a factory',
    { providers: [{ provide: 'made', useFactory: () => new ByDecorator() }] },
    `ByDecorator.charge: circuit breaker "zzz" is not configured (${breakers})`,
  ],
];

describe('R31: a name nobody configured fails at start-up', () => {
  it.each(unknownNames)('in %s', async (_place, metadata, message) => {
    expect(await startUpIssues(knowing(metadata))).toEqual([message]);
  });

  it.each([
    [
      'a retry',
      { catalog: { retry: 'apu' } },
      'catalog: retry "apu" is not configured (known: api); did you mean "api"?',
    ],
    [
      'a circuit breaker',
      { catalog: [{ circuitBreaker: 'payment' }] },
      'catalog: circuit breaker "payment" is not configured (known: payments, inventory); did you mean "payments"?',
    ],
  ])('as %s of a policy', async (_part, policies, message) => {
    expect(await issuesWith({ ...known, policies })).toEqual([message]);
  });

  it('as the budget of a retry', async () => {
    const issues = await issuesWith({
      retries: { api: { budget: 'shard' } },
      budgets: { shared: {} },
    });
    expect(issues).toEqual([
      'api: retry budget "shard" is not configured (known: shared); did you mean "shared"?',
    ]);
  });

  it.each(['retry', 'hedge'])('as the budget of defaults.%s, once', async (part) => {
    const issues = await issuesWith({
      retries: { api: {}, reads: {} },
      budgets: { shared: {} },
      defaults: { [part]: { budget: 'shard' } },
    });
    expect(issues).toEqual([
      `options.defaults.${part}: retry budget "shard" is not configured (known: shared); did you mean "shared"?`,
    ]);
  });

  it('says so when there is no name at all', async () => {
    const issues = await startUpIssues({
      imports: [ResilienceModule.forRoot()],
      providers: [ByProperty],
    });
    expect(issues).toEqual([
      'ByProperty.breaker: circuit breaker "inventroy" is not configured (none is configured)',
    ]);
  });

  it('lists every one of them at once', async () => {
    const providers = [ByConstructor, answer, ByProperty, ByPolicy, ByDecorator, ByRequestScoped];
    const issues = await startUpIssues(knowing({ providers }));
    expect(issues.map((issue) => issue.split(':')[0]).toSorted()).toEqual([
      'ByConstructor, constructor parameter 1',
      'ByDecorator.charge',
      'ByPolicy.policy',
      'ByProperty.breaker',
      'ByRequestScoped.charge',
    ]);
  });

  it('with forRootAsync as well', async () => {
    const issues = await startUpIssues({
      imports: [ResilienceModule.forRootAsync({ useFactory: () => known })],
      providers: [ByProperty],
    });
    expect(issues[0]).toContain('ByProperty.breaker: circuit breaker "inventroy"');
  });

  it('never injects undefined: not by a later look-up, nor into a lazily loaded module', async () => {
    const app = await start(knowing({}));
    expect(() => app.get<unknown>(getCircuitBreakerToken('paymnets'))).toThrow('does not exist');
    const loading = app.get(LazyModuleLoader).load(() => moduleOf({ providers: [ByProperty] }));
    await expect(loading).rejects.toThrow("Nest can't resolve dependencies");
  });

  it('unless it is optional: then it is undefined, as with Nest', async () => {
    @Injectable()
    class Optionally {
      @Optional() @InjectCircuitBreaker('inventroy') readonly property?: CircuitBreaker;
      constructor(@Optional() @InjectPolicy('katalog') readonly parameter?: unknown) {}
    }
    @Injectable()
    class Heir extends Optionally {}
    const inject = [{ token: getCircuitBreakerToken('paymnets'), optional: true }];
    const useFactory = (breaker?: CircuitBreaker): string => typeof breaker;
    const app = await start(
      knowing({ providers: [Optionally, Heir, { provide: 'made', inject, useFactory }] }),
    );
    for (const type of [Optionally, Heir]) {
      const { property, parameter } = app.get<Optionally>(type);
      expect([property, parameter]).toEqual([undefined, undefined]);
    }
    expect(app.get('made')).toBe('undefined');
  });

  it('and is injected as ever where it is optional and known', async () => {
    @Injectable()
    class Optionally {
      constructor(@Optional() @InjectCircuitBreaker('payments') readonly breaker: CircuitBreaker) {}
    }
    const app = await start(knowing({ providers: [Optionally] }));
    expect(app.get(Optionally).breaker.name).toBe('payments');
  });

  it('where only the constructor that it replaces has it optional', async () => {
    @Injectable()
    class Optionally {
      constructor(@Optional() @InjectPolicy('katalog') readonly policy?: unknown) {}
    }
    @Injectable()
    class Asking extends Optionally {
      constructor(@InjectPolicy('katalog') policy: unknown) {
        super(policy);
      }
    }
    const issues = await startUpIssues(knowing({ providers: [Asking] }));
    expect(issues).toEqual([expect.stringContaining('Asking, constructor parameter 0: policy')]);
  });

  it('is a ResilienceConfigError', async () => {
    const starting = start(knowing({ providers: [ByProperty] }));
    await expect(starting).rejects.toBeInstanceOf(ResilienceConfigError);
  });
});

describe('R34: a policy made by hand, in the place of something else', () => {
  const breaker = new CircuitBreaker('mine');
  const catalog = pipeline(retry(), breaker);
  const gotBreaker = 'got a policy (circuitBreaker "mine")';
  const gotCatalog = 'got a policy (pipeline "pipeline")';
  it.each<[string, unknown, string]>([
    ['the options', breaker, `options must be an object of options, ${gotBreaker}`],
    [
      'a group',
      { circuitBreakers: breaker },
      `options.circuitBreakers must be an object, ${gotBreaker}`,
    ],
    [
      'named options',
      { circuitBreakers: { payments: breaker } },
      `circuitBreaker(payments) must be an object of options, ${gotBreaker}`,
    ],
    [
      'named options under defaults',
      { circuitBreakers: { payments: breaker }, defaults: { circuitBreaker: {} } },
      `circuitBreaker(payments) must be an object of options, ${gotBreaker}`,
    ],
    [
      'defaults',
      { defaults: { retry: catalog } },
      `options.defaults.retry must be an object, ${gotCatalog}`,
    ],
    [
      'a named policy',
      { policies: { catalog } },
      `policy(catalog) must be an object of policy parts, ${gotCatalog}`,
    ],
    [
      'an entry of a list',
      { policies: { catalog: [catalog] } },
      `policy(catalog)[0] must be an object of policy parts, ${gotCatalog}`,
    ],
    [
      'a part of another kind',
      { policies: { catalog: { retry: catalog } } },
      `retry(catalog) must not be a policy of another kind, ${gotCatalog}; @Resilient() and pipeline() take any`,
    ],
  ])('is told as such for %s', async (_what, given, message) => {
    expect(await issuesWith(given)).toEqual([message]);
  });

  it.each<[string, MethodDecorator]>([
    ['retry', Retry(breaker as never)],
    ['timeLimit', TimeLimit(breaker as never)],
    ['bulkhead', Bulkhead(breaker as never)],
    ['retrySync', RetrySync(retry() as never)],
  ])('%s of a decorator', async (part, decorate) => {
    class Orders {
      charge(): void {
        /* charged */
      }
    }
    const charge = Object.getOwnPropertyDescriptor(
      Orders.prototype,
      'charge',
    ) as PropertyDescriptor;
    decorate(Orders.prototype, 'charge', charge);
    Object.defineProperty(Orders.prototype, 'charge', charge);
    expect(await startUpIssues(knowing({ providers: [Orders] }))).toEqual([
      expect.stringContaining(`${part}(Orders.charge) must not be a policy of another kind, got a`),
    ]);
  });
});

describe('R34: what is no policy', () => {
  it.each([
    ['undefined', undefined, 'undefined)) must be an object of policy parts, got undefined'],
    ['null', null, 'null)) must be an object of policy parts, got null'],
    ['a number', 5, '5)) must be an object of policy parts, got 5'],
    [
      'a list of undefined',
      [undefined],
      'undefined))[0] must be an object of policy parts, got undefined',
    ],
  ])('fails at start-up as that of an interceptor: %s', async (_what, given, problem) => {
    const useClass = ResilienceInterceptor(given as never);
    const issues = await startUpIssues(knowing({ providers: [{ provide: 'any', useClass }] }));
    expect(issues).toEqual([`policy(ResilienceInterceptor(${problem}`]);
  });
});

describe('R31, R34, R63: what stands below somebody else’s decorator is checked too', () => {
  class Spanned {
    @Span()
    @CircuitProtected('paymnets')
    async charge(): Promise<void> {}
  }
  class Between {
    @Retry('apu')
    @Span()
    @Span()
    @CircuitProtected('paymnets')
    async charge(): Promise<void> {}
  }
  class Overriding extends Spanned {
    override async charge(): Promise<void> {
      await super.charge();
    }
  }
  @CircuitProtected('inventroy')
  class Class {
    @Span()
    @CircuitProtected('paymnets')
    async charge(): Promise<void> {}
  }
  class Misused {
    @Span()
    @Fallback('missing')
    @Retry({ maxAttempts: 0 })
    async charge(): Promise<void> {}
  }
  const payments = 'circuit breaker "paymnets"';

  it.each([
    ['the only one of ours', Spanned, [payments]],
    ['two of ours around it', Between, ['retry "apu"', payments]],
    ['an override that calls it', Overriding, [payments]],
    ['one of ours on the class', Class, ['circuit breaker "inventroy"', payments]],
    ['bad options, and no such method', Misused, ['"missing"', 'maxAttempts']],
  ])('%s', async (_what, provider, named) => {
    const issues = await startUpIssues(knowing({ providers: [provider] }));
    expect(issues).toEqual(named.map((each) => expect.stringContaining(each) as string));
  });
});

describe('R31, R34, R63: middleware, which Nest registers after everything else, is checked too', () => {
  abstract class Middleware implements NestMiddleware {
    use(_request: unknown, _response: unknown, next: () => void): void {
      next();
    }
  }
  @Injectable()
  class Named extends Middleware {
    @CircuitProtected('paymnets')
    async check(): Promise<void> {}
  }
  @Injectable()
  class Misused extends Middleware {
    @Fallback('missing')
    @Retry({ maxAttempts: 0 })
    async check(): Promise<void> {}
  }
  @Injectable({ scope: Scope.REQUEST })
  class OfRequest extends Misused {}
  @Injectable()
  class Injected extends Middleware {
    @InjectCircuitBreaker('inventroy') readonly breaker!: CircuitBreaker;
  }

  it.each([
    ['a name', Named, ['circuit breaker "paymnets"']],
    ['bad options, and no such method', Misused, ['"missing"', 'maxAttempts']],
    ['those of a request-scoped one', OfRequest, ['"missing"', 'maxAttempts']],
    ['an injected name', Injected, ['Injected.breaker: circuit breaker "inventroy"']],
  ])('%s', async (_what, middleware, named) => {
    @Module({})
    class WithMiddleware implements NestModule {
      configure(consumer: MiddlewareConsumer): void {
        consumer.apply(middleware).forRoutes('*path');
      }
    }
    const starting = serve(knowing({ imports: [WithMiddleware], controllers: [ByNothing] }));
    const issues = await issuesOf(starting);
    expect(issues).toEqual(named.map((each) => expect.stringContaining(each) as string));
  });
});

describe('R31: a duplicate name with different options fails at start-up', () => {
  it.each([
    ['circuitBreakers', { failureThreshold: 1 }, { failureThreshold: 2 }, 'circuit breaker'],
    ['retries', { maxAttempts: 1 }, {}, 'retry'],
    ['budgets', { ratio: 0.1 }, { ratio: 0.2 }, 'retry budget'],
    ['policies', { retry: {} }, { circuitBreaker: {} }, 'policy'],
  ])('among %s', async (group, one, other, title) => {
    const issues = await startUpIssues({
      imports: [
        ResilienceModule.forRoot({ [group]: { shared: one } }),
        ResilienceModule.forFeature({ [group]: { shared: other } }),
      ],
    });
    expect(issues).toEqual([
      `${title} "shared" is configured more than once, with different options`,
    ]);
  });

  it.each([
    ['circuitBreakers', () => ({ ignoreExceptions: [() => true] }), 'circuit breaker'],
    ['policies', () => [{ retry: { retryOn: () => true } }, { bulkhead: {} }], 'policy'],
  ])('also where the functions of %s only look the same', async (group, make, title) => {
    const forTwo = (one: unknown, other: unknown): ModuleMetadata => ({
      imports: [
        ResilienceModule.forRoot({ [group]: { shared: one } }),
        ResilienceModule.forFeature({ [group]: { shared: other } }),
      ],
    });
    expect(await startUpIssues(forTwo(make(), make()))).toEqual([
      `${title} "shared" is configured more than once, with different options: functions are the same only ` +
        'where they are one object; define each of them once and use it in both places',
    ]);
    const same = make();
    await start(forTwo(same, Array.isArray(same) ? [...same] : { ...same }));
  });

  it('between two feature modules', async () => {
    const feature = (failureThreshold: number): Type =>
      ResilienceModule.forFeature({ circuitBreakers: { shared: { failureThreshold } } }) as never;
    const issues = await startUpIssues({
      imports: [ResilienceModule.forRoot(), feature(1), feature(2)],
    });
    expect(issues).toHaveLength(1);
  });

  it('which two functions are, unless they are one', async () => {
    const [isFailure, other] = [(): boolean => true, (): boolean => true];
    const withBoth = (feature: () => boolean): ModuleMetadata => ({
      imports: [
        ResilienceModule.forRoot({ circuitBreakers: { shared: { isFailure } } }),
        ResilienceModule.forFeature({ circuitBreakers: { shared: { isFailure: feature } } }),
      ],
    });
    await start(withBoth(isFailure));
    expect(await startUpIssues(withBoth(other))).toHaveLength(1);
  });
});

describe('R31: a second root', () => {
  const async = (): Type =>
    ResilienceModule.forRootAsync({ useFactory: () => ({ circuitBreakers: {} }) }) as never;
  it.each([
    [
      'forRoot twice',
      () => [ResilienceModule.forRoot(), ResilienceModule.forRoot({ retries: {} })],
    ],
    ['forRoot and forRootAsync', () => [ResilienceModule.forRoot(), async()]],
    ['forRootAsync twice', () => [async(), async()]],
  ])('is refused: %s', async (_title, imports) => {
    expect(await startUpIssues({ imports: imports() as Type[] })).toEqual([
      'ResilienceModule.forRoot() or forRootAsync() is imported more than once; import it once, in the root module, and add to it with ResilienceModule.forFeature()',
    ]);
  });

  it('is not what one dynamic module imported in two places is', async () => {
    const resilience = ResilienceModule.forRoot(known);
    const app = await start({ imports: [resilience, moduleOf({ imports: [resilience] })] });
    expect(app.get(getCircuitBreakerToken('payments'))).toBeInstanceOf(CircuitBreaker);
  });
});

describe('R31, R34: without a root', () => {
  const feature = (): Type =>
    ResilienceModule.forFeature({ circuitBreakers: { payments: {} } }) as never;
  const needsOne =
    'needs ResilienceModule.forRoot() or forRootAsync(); import one of them in the root module';
  it.each<[string, () => ModuleMetadata, string]>([
    [
      'the bare module',
      () => ({ imports: [ResilienceModule] }),
      `ResilienceModule, imported as it is, ${needsOne}`,
    ],
    ['a feature', () => ({ imports: [feature()] }), `ResilienceModule.forFeature() ${needsOne}`],
    [
      'a feature whose breaker is injected',
      () => ({
        imports: [moduleOf({ imports: [feature()], providers: [Paying] }), feature()],
      }),
      `ResilienceModule.forFeature() ${needsOne}`,
    ],
  ])('%s stops the start', async (_what, metadata, message) => {
    expect(await startUpIssues(metadata())).toEqual([message]);
  });

  it('but the bare module may stand beside one', async () => {
    const app = await start(knowing({ imports: [moduleOf({ imports: [ResilienceModule] })] }));
    expect(app.get(getCircuitBreakerToken('payments'))).toBeInstanceOf(CircuitBreaker);
  });

  it('is not what is told of a root that cannot start', async () => {
    const issues = await startUpIssues({
      imports: [feature(), ResilienceModule, ResilienceModule.forRoot({ retry: {} } as never)],
    });
    expect(issues).toEqual(['options.retry is not a known option']);
  });
});

const invalid: [string, unknown, string][] = [
  ['null', null, 'options must be an object of options, got null'],
  ['no object', 'nothing', 'options must be an object of options, got "nothing"'],
  [
    'an unknown option',
    { circuitBreaker: {} },
    'options.circuitBreaker is not a known option; did you mean "circuitBreakers"?',
  ],
  ['a group that is a list', { retries: [] }, 'options.retries must be an object, got []'],
  ['isGlobal', { isGlobal: 'yes' }, 'options.isGlobal must be true or false, got "yes"'],
  ['http', { http: true }, 'options.http must be an object of options, got true'],
  [
    'an unknown http option',
    { http: { mapError: false } },
    'options.http.mapError is not a known option; did you mean "mapErrors"?',
  ],
  [
    'http.mapErrors',
    { http: { mapErrors: 0 } },
    'options.http.mapErrors must be true or false, got 0',
  ],
  [
    'an unknown default',
    { defaults: { retries: {} } },
    'options.defaults.retries is not a known option; did you mean "retry"?',
  ],
  [
    'a default of circuit breakers',
    { defaults: { circuitBreaker: { failureThreshold: 0 } } },
    'circuitBreaker(defaults).failureThreshold must be a whole number of at least 1, got 0',
  ],
  [
    'a default of retries',
    { defaults: { retry: { respectRetryAfter: 'no' } } },
    'retry(defaults).respectRetryAfter must be true or false, got "no"',
  ],
  [
    'a default that is no object',
    { defaults: { retry: 3 } },
    'options.defaults.retry must be an object, got 3',
  ],
  [
    'an incomplete clock',
    { runtime: { clock: { now: () => 0, wallTime: () => 0 } } },
    'options.runtime.clock must have the methods now, wallTime, setTimeout, clearTimeout, sleepSync; missing: setTimeout, clearTimeout, sleepSync, got {}',
  ],
  ['random', { runtime: { random: 0.5 } }, 'options.runtime.random must be a function, got 0.5'],
  [
    'a logger that is none',
    { runtime: { logger: null } },
    'options.runtime.logger must have the methods error, warn; missing: error, warn, got null',
  ],
  [
    'an unknown part of the runtime',
    { runtime: { loger: {} } },
    'options.runtime.loger is not a known option; did you mean "logger"?',
  ],
  [
    'a circuit breaker',
    { circuitBreakers: { payments: { probeTimeout: '30 parsecs' } } },
    'circuitBreaker(payments).probeTimeout must be a duration (milliseconds or a string such as "30s"), at least 1 ms and at most 2147483647 ms, got "30 parsecs"',
  ],
  [
    'a circuit breaker that is no object',
    { circuitBreakers: { payments: 5 } },
    'circuitBreaker(payments) must be an object of options, got 5',
  ],
  [
    'an unknown option of a circuit breaker',
    { circuitBreakers: { payments: { failureTreshold: 5 } } },
    'circuitBreaker(payments).failureTreshold is not a known option; did you mean "failureThreshold"?',
  ],
  [
    'a retry',
    { retries: { api: { maxAttempts: 1.5 } } },
    'retry(api).maxAttempts must be a whole number of at least 1, got 1.5',
  ],
  [
    'a policy that is no object',
    { policies: { catalog: 'retry' } },
    'policy(catalog) must be an object of policy parts, got "retry"',
  ],
  [
    'an unknown part of a policy',
    { policies: { catalog: { retri: {} } } },
    'policy(catalog).retri is not a part of a policy; did you mean "retry"?',
  ],
  [
    'two keys in an entry of a list',
    { policies: { catalog: [{ retry: {}, circuitBreaker: {} }] } },
    'policy(catalog)[0] must have a single key, since the list gives the order, got ["retry","circuitBreaker"]',
  ],
  [
    'a part inside a policy',
    { policies: { catalog: { retry: { maxAttempts: 0 } } } },
    'retry(catalog#0).maxAttempts must be a whole number of at least 1, got 0',
  ],
];

@Injectable()
class Misconfigured {
  @Retry({ maxAttempts: 0, jitter: -1 })
  @CircuitProtected({ failureThreshold: -3 })
  async charge(): Promise<void> {
    /* charged */
  }
}

describe('R34: invalid options stop the start', () => {
  it.each(invalid)('%s', async (_title, given, message) => {
    expect(await issuesWith(given)).toEqual([message]);
  });

  it.each<[string, unknown, string]>([
    ['nothing', undefined, 'forFeature() must be an object of options, got undefined'],
    ['null', null, 'forFeature() must be an object of options, got null'],
    ['text', 'payments', 'forFeature() must be an object of options, got "payments"'],
    ['a list', [], 'forFeature() must be an object of options, got []'],
    [
      'an unknown option',
      { circuitBreaker: { stock: {} } },
      'forFeature().circuitBreaker is not a known option; did you mean "circuitBreakers"?',
    ],
    [
      'a group that is null',
      { circuitBreakers: null },
      'forFeature().circuitBreakers must be an object, got null',
    ],
    [
      'a group that is text',
      { retries: 'api' },
      'forFeature().retries must be an object, got "api"',
    ],
    [
      'an option of the application',
      { defaults: { retry: {} } },
      'forFeature().defaults must be given to forRoot(), since it is for the whole application, got {"retry":{}}',
    ],
  ])('of forFeature: %s', async (_title, given, message) => {
    const feature = ResilienceModule.forFeature(given as NamedOptions);
    const imports = [ResilienceModule.forRoot({ budgets: { shared: { ratio: -1 } } }), feature];
    expect(await startUpIssues({ imports })).toEqual([
      message,
      expect.stringContaining('budget(shared).ratio'),
    ]);
  });

  it('of forFeature in a lazily loaded module', async () => {
    const app = await start({ imports: [ResilienceModule.forRoot()] });
    const feature = ResilienceModule.forFeature({ bulkhead: {} } as NamedOptions);
    const loading = app.get(LazyModuleLoader).load(() => moduleOf({ imports: [feature] }));
    expect(await issuesOf(loading)).toEqual([
      'forFeature().bulkhead is not a known option; did you mean "bulkheads"?',
    ]);
  });

  it('a policy without parts', async () => {
    const issues = await issuesWith({ policies: { catalog: {} } });
    expect(issues).toEqual([expect.stringContaining('policy(catalog) must have at least one of')]);
  });

  it('each option of each decorator on a method', async () => {
    const issues = await startUpIssues(knowing({ providers: [Misconfigured] }));
    expect(issues).toEqual([
      expect.stringContaining('retry(Misconfigured.charge#0).maxAttempts'),
      expect.stringContaining('retry(Misconfigured.charge#0).jitter'),
      expect.stringContaining('circuitBreaker(Misconfigured.charge).failureThreshold'),
    ]);
  });

  it('each part of a policy', async () => {
    const issues = await issuesWith({
      policies: { catalog: { retry: { maxAttempts: 0 }, circuitBreaker: { successThreshold: 0 } } },
    });
    expect(issues).toEqual([
      expect.stringContaining('retry(catalog#0).maxAttempts'),
      expect.stringContaining('circuitBreaker(catalog).successThreshold'),
    ]);
  });

  it('and everything wrong in one application is told in one error, once', async () => {
    const given = {
      circuitBreaker: {},
      circuitBreakers: { payments: { failureThreshold: 0, captureStack: 1 } },
      retries: { api: { maxAttempts: 0 } },
      budgets: { shared: { ratio: -1 } },
      policies: { catalog: { retry: 'api', circuitBreaker: 'payments' } },
      defaults: { retry: { baseDelay: -1 }, breaker: {} },
      http: { mapErrors: 'no' },
      runtime: { random: 0 },
      isGlobal: 1,
    };
    @Injectable()
    class Orders {
      @CircuitProtected('payments')
      async charge(): Promise<void> {
        /* charged */
      }
    }
    const issues = await startUpIssues({
      imports: [
        ResilienceModule.forRoot(given as never),
        ResilienceModule.forFeature({ retries: { feature: { exponentialBase: 0 } } }),
        ResilienceModule.forFeature({ retries: { api: { maxAttempts: 2 } } }),
      ],
      providers: [Orders, Misconfigured, ByDecorator, ByProperty],
    });
    expect(issues.map((issue) => /^[^ ]+(?: "api")?/.exec(issue)?.[0]).toSorted()).toEqual([
      'ByDecorator.charge:',
      'ByProperty.breaker:',
      'budget(shared).ratio',
      'circuitBreaker(Misconfigured.charge).failureThreshold',
      'circuitBreaker(payments).captureStack',
      'circuitBreaker(payments).failureThreshold',
      'options.circuitBreaker',
      'options.defaults.breaker',
      'options.http.mapErrors',
      'options.isGlobal',
      'options.runtime.random',
      'retry "api"',
      'retry(Misconfigured.charge#0).jitter',
      'retry(Misconfigured.charge#0).maxAttempts',
      'retry(api).maxAttempts',
      'retry(defaults).baseDelay',
      'retry(feature).exponentialBase',
    ]);
  });

  it('as the message of the error says, one line for each', async () => {
    const error = (await start({
      imports: [ResilienceModule.forRoot({ retries: { api: { maxAttempts: 0, baseDelay: -1 } } })],
    }).catch((reason: unknown) => reason)) as ResilienceConfigError;
    expect(error.message.split('\n')).toEqual([
      'Invalid resilience configuration:',
      ...error.issues.map((issue) => `  - ${issue}`),
    ]);
    expect(error.issues).toHaveLength(2);
  });
});
