import 'reflect-metadata';
import { Controller, Get, Injectable, Scope, type Type } from '@nestjs/common';
import {
  Bulkhead,
  CircuitBreakerRegistry,
  Hedge,
  InjectPolicy,
  type Policy,
  type PolicyOptions,
  RateLimit,
  Resilient,
  ResilienceModule,
  type ResilienceModuleOptions,
  Retry,
  currentAttempt,
  fallback,
  getPolicyToken,
  pipeline,
  retry,
  timeLimit,
} from 'nestjs-bulwark';
import { settlePromises } from 'nestjs-bulwark/testing';
import { type Deferred, Lab, deferred, down, settled } from '../support/lab.js';
import {
  ADAPTERS,
  closeAll,
  request,
  serve,
  start,
  startUpIssues,
  throughWaits,
} from './support/applications.js';

let lab: Lab;
let tries: number;
let work: Deferred<string>[];
beforeEach(() => {
  lab = new Lab();
  tries = 0;
  work = [];
});
afterEach(closeAll);

const known: ResilienceModuleOptions = {
  circuitBreakers: { stock: { failureThreshold: 100 } },
  retries: { api: { maxAttempts: 3, baseDelay: 100, jitter: 0 } },
  bulkheads: { slots: { maxConcurrent: 1 } },
  rateLimits: { quota: { limit: 2, interval: '1h' } },
  hedges: { reads: { delay: 20 } },
};
async function made<T>(type: Type<T>, more: ResilienceModuleOptions = {}): Promise<T> {
  const options = { ...known, ...more, runtime: lab.runtime };
  const app = await start({ imports: [ResilienceModule.forRoot(options)], providers: [type] });
  breakers = app.get(CircuitBreakerRegistry);
  return app.get(type);
}
let breakers: CircuitBreakerRegistry;

function begin(): Promise<string> {
  const started = deferred<string>();
  work.push(started);
  return started.promise;
}
async function failing(): Promise<string> {
  tries++;
  throw down;
}

/** The policy of that name, out of an application. */
async function policyOf(options: PolicyOptions): Promise<Policy> {
  @Injectable()
  class Client {
    @InjectPolicy('catalog') readonly policy!: Policy;
  }
  return (await made(Client, { policies: { catalog: options } })).policy;
}
const kindsOf = (policy: Policy): string[] => policy.describe().map(({ kind }) => kind);

describe('a named policy', () => {
  it('has the fixed order, whatever the order of its keys', async () => {
    const policy = await policyOf({
      attemptTimeLimit: 50,
      bulkhead: 'slots',
      rateLimit: 'quota',
      circuitBreaker: 'stock',
      hedge: 'reads',
      retry: 'api',
      timeLimit: '1s',
      fallback: () => 'instead',
    });
    expect(kindsOf(policy)).toEqual([
      'fallback',
      'timeLimit',
      'retry',
      'hedge',
      'circuitBreaker',
      'rateLimit',
      'bulkhead',
      'timeLimit',
    ]);
    const limits = policy.describe().filter(({ kind }) => kind === 'timeLimit');
    expect(limits.map(({ options }) => options)).toMatchObject([{ limit: 1000 }, { limit: 50 }]);
  });

  it('that is a list has the order of the list', async () => {
    const policy = await policyOf([
      { circuitBreaker: 'stock' },
      { timeLimit: '1s' },
      { retry: 'api' },
      { fallback: () => 'instead' },
      { timeLimit: 50 },
    ]);
    expect(kindsOf(policy)).toEqual([
      'circuitBreaker',
      'timeLimit',
      'retry',
      'fallback',
      'timeLimit',
    ]);
  });

  const breaker = () => breakers.get('stock').stats.totalCalls;
  it.each<[string, PolicyOptions, number]>([
    [
      'in the fixed order: each try passes the breaker',
      { circuitBreaker: 'stock', retry: 'api' },
      3,
    ],
    ['in a list: all tries are one call', [{ circuitBreaker: 'stock' }, { retry: 'api' }], 1],
  ])('retry and circuit breaker, %s', async (_title, options, calls) => {
    const policy = await policyOf(options);
    await lab.errorOf(policy.execute(failing));
    expect([tries, breaker()]).toEqual([3, calls]);
  });

  it.each<[string, PolicyOptions, object, number]>([
    ['in the fixed order: of all tries', { retry: 'api', timeLimit: 50 }, { code: 'TIMEOUT' }, 1],
    ['in a list: of each', [{ retry: 'api' }, { timeLimit: 50 }], { reason: 'attempts' }, 3],
    ['as attemptTimeLimit: of each', { retry: 'api', attemptTimeLimit: 50 }, { attempts: 3 }, 3],
  ])('retry and time limit, %s', async (_title, options, error, attempts) => {
    const policy = await policyOf(options);
    expect(await lab.errorOf(policy.execute(begin))).toMatchObject(error);
    expect(work).toHaveLength(attempts);
  });

  it.each<[string, PolicyOptions, number]>([
    ['in the fixed order: a token for each try', { rateLimit: 'quota', retry: 'api' }, 2],
    ['in a list: one token', [{ rateLimit: 'quota' }, { retry: 'api' }], 3],
  ])('retry and rate limit, %s', async (_title, options, made) => {
    const policy = await policyOf(options);
    await lab.errorOf(policy.execute(failing));
    expect(tries).toBe(made);
  });

  it.each<[string, PolicyOptions, string]>([
    ['in the fixed order: free during the wait', { bulkhead: 'slots', retry: 'api' }, 'free'],
    ['in a list: held', [{ bulkhead: 'slots' }, { retry: 'api' }], 'BULKHEAD_FULL'],
  ])('retry and bulkhead, %s', async (_title, options, expected) => {
    const policy = await policyOf(options);
    const first = settled(policy.execute(failing));
    await lab.clock.advance(50);
    const second = await settled(policy.execute(() => 'free'));
    expect('value' in second ? second.value : (second.error as { code: string }).code).toBe(
      expected,
    );
    await lab.clock.runAll();
    await first;
  });

  it.each<[string, PolicyOptions, number]>([
    ['in the fixed order: after all tries', { fallback: () => 'instead', retry: 'api' }, 3],
    ['in a list: after the first', [{ retry: 'api' }, { fallback: () => 'instead' }], 1],
  ])('retry and fallback, %s', async (_title, options, made) => {
    const policy = await policyOf(options);
    expect(await lab.resultOf(policy.execute(failing))).toBe('instead');
    expect(tries).toBe(made);
  });

  it('takes options, names and policies made by hand as its parts', async () => {
    const byHand = timeLimit(70, { runtime: lab.runtime });
    const policy = await policyOf({
      timeLimit: byHand,
      retry: { maxAttempts: 2 },
      circuitBreaker: 'stock',
      fallback: fallback((error: Error) => error.name),
    });
    expect(await lab.resultOf(policy.execute(begin))).toBe('TimeoutError');
    expect(byHand.snapshot().calls.timed_out).toBe(1);
    expect(breaker()).toBe(1);
  });
});

describe('@Resilient', () => {
  @Resilient('catalog')
  class WholeClass {
    one(): Promise<string> {
      return failing();
    }
    async other(): Promise<string> {
      return `attempt ${String(currentAttempt())}`;
    }
  }
  const policies = { catalog: { retry: 'api', circuitBreaker: 'stock' } };

  it.each<[string, string | PolicyOptions | Policy, number]>([
    ['a name', 'catalog', 3],
    ['parts', { retry: { maxAttempts: 4 } }, 4],
    ['a list', [{ retry: { maxAttempts: 5 } }, { timeLimit: '1s' }], 5],
    ['a policy made by hand', retry({ maxAttempts: 2, baseDelay: 0 }), 2],
    ['a pipeline', pipeline(retry({ maxAttempts: 6, baseDelay: 0 })), 6],
  ])('takes %s', async (_title, policy, expected) => {
    class Client {
      @Resilient(policy)
      call(): Promise<string> {
        return failing();
      }
    }
    const client = await made(Client, { policies });
    const outcome = throughWaits(lab, settled(client.call()));
    expect(await outcome).toMatchObject({ error: { name: 'RetryExhaustedError' } });
    expect(tries).toBe(expected);
  });

  it('on a class covers each method, all under the parts that the name shares', async () => {
    const client = await made(WholeClass, { policies });
    await lab.errorOf(client.one());
    expect(await client.other()).toBe('attempt 1');
    expect(breakers.get('stock').stats).toMatchObject({ totalCalls: 4, failedCalls: 3 });
  });

  it('reads from the top with others (R40)', async () => {
    class Client {
      @Retry({ maxAttempts: 2 })
      @Resilient([{ circuitBreaker: 'stock' }])
      call(): Promise<string> {
        return failing();
      }
    }
    await lab.errorOf((await made(Client)).call());
    expect(breakers.get('stock').stats.totalCalls).toBe(2);
  });

  it('an isolated circuit of a request-scoped provider is the one of the application (R41)', async () => {
    @Injectable({ scope: Scope.REQUEST })
    class Scoped extends WholeClass {}
    @Controller()
    class Routes {
      constructor(private readonly scoped: Scoped) {}
      @Get()
      get(): Promise<string> {
        return this.scoped.other();
      }
    }
    for (const adapter of ADAPTERS) {
      const app = await serve(
        {
          imports: [ResilienceModule.forRoot({ ...known, policies, runtime: lab.runtime })],
          controllers: [Routes],
          providers: [Scoped],
        },
        adapter,
      );
      await request(app).get('/').expect(200, 'attempt 1');
      app.get(CircuitBreakerRegistry).get('stock').isolate();
      await request(app).get('/').expect(503);
    }
  });

  it('R30: a policy is found by its token', async () => {
    const app = await start({
      imports: [ResilienceModule.forRoot({ ...known, policies })],
    });
    expect(kindsOf(app.get<Policy>(getPolicyToken('catalog')))).toEqual([
      'retry',
      'circuitBreaker',
    ]);
  });
});

describe('a named part is one for all who name it', () => {
  it('a bulkhead: decorators of two classes and a policy', async () => {
    class Client {
      readonly other = new Other();
      @InjectPolicy('catalog') readonly policy!: Policy;
      @Bulkhead('slots')
      call(): Promise<string> {
        return begin();
      }
    }
    class Other {
      @Bulkhead('slots')
      call(): Promise<string> {
        return begin();
      }
    }
    const options = { ...known, policies: { catalog: { bulkhead: 'slots' } } };
    const app = await start({
      imports: [ResilienceModule.forRoot(options)],
      providers: [Client, Other],
    });
    const [client, other] = [app.get(Client), app.get(Other)];
    void client.call();
    const full = { error: { code: 'BULKHEAD_FULL', bulkheadName: 'slots' } };
    expect(await settled(other.call())).toMatchObject(full);
    expect(await settled(client.policy.execute(begin))).toMatchObject(full);
    work[0]?.resolve('done');
    await settlePromises();
    expect(await client.policy.execute(() => 'free')).toBe('free');
  });

  it('a rate limit', async () => {
    class Client {
      @RateLimit('quota') async one(): Promise<string> {
        return 'one';
      }
      @RateLimit('quota') async other(): Promise<string> {
        return 'other';
      }
    }
    const client = await made(Client);
    await client.one();
    await client.other();
    expect(await settled(client.one())).toMatchObject({ error: { limiterName: 'quota' } });
  });

  it('a budget: retries and hedges draw on it together (R74)', async () => {
    class Client {
      @Retry('thrifty') retried(): Promise<string> {
        return failing();
      }
      @Hedge('thrifty') hedged(): Promise<string> {
        return begin();
      }
    }
    const client = await made(Client, {
      budgets: { shared: { ratio: 0.01, minPerSecond: 0.1, ttl: '10s' } },
      retries: { thrifty: { maxAttempts: 10, baseDelay: 1, budget: 'shared' } },
      hedges: { thrifty: { delay: 10, budget: 'shared' } },
    });
    const error = await lab.errorOf(client.retried());
    expect(error).toMatchObject({ reason: 'budget', cause: down });
    const running = client.hedged();
    await lab.clock.advance(20);
    expect(work).toHaveLength(1);
    work[0]?.resolve('alone');
    expect(await running).toBe('alone');
  });

  it('a budget that the defaults name, of a feature module too (R30)', async () => {
    const budgets = { shared: { ratio: 0, minPerSecond: 0 } };
    const defaults = { retry: { budget: 'shared' }, hedge: { budget: 'shared' } };
    const app = await start({
      imports: [
        ResilienceModule.forRoot({ retries: { api: {} }, defaults, runtime: lab.runtime }),
        ResilienceModule.forFeature({ budgets }),
      ],
      providers: [Thrifty],
    });
    const thrifty = app.get(Thrifty);
    for (const call of [thrifty.named(), thrifty.retried()]) {
      expect(await lab.errorOf(call)).toMatchObject({ reason: 'budget', cause: down });
    }
    const running = thrifty.hedged();
    await lab.clock.advance(20);
    expect(work).toHaveLength(1);
    work[0]?.resolve('alone');
    expect(await running).toBe('alone');
  });

  class Thrifty {
    @Retry('api') named(): Promise<string> {
      return failing();
    }
    @Retry() retried(): Promise<string> {
      return failing();
    }
    @Hedge({ delay: 10 }) hedged(): Promise<string> {
      return begin();
    }
  }
});

describe('R30: defaults of the newer policies', () => {
  const defaults: ResilienceModuleOptions['defaults'] = {
    bulkhead: { maxConcurrent: 1 },
    rateLimit: { interval: '1h', burst: 1 },
    hedge: { delay: 10, maxHedges: 3 },
  };
  class Client {
    @Bulkhead() bulkhead(): Promise<string> {
      return begin();
    }
    @Bulkhead({ maxConcurrent: 2 }) bigger(): Promise<string> {
      return begin();
    }
    @RateLimit({ limit: 5 } as never) async rated(): Promise<string> {
      return 'rated';
    }
    @Hedge({} as never) hedged(): Promise<string> {
      return begin();
    }
    @Hedge({ delay: 10, maxHedges: 1 }) hedgedOnce(): Promise<string> {
      return begin();
    }
  }

  it.each([
    ['a bulkhead', 'bulkhead', 1],
    ['a bulkhead with an option of its own', 'bigger', 2],
  ] as const)('stand under %s', async (_title, method, most) => {
    const client = await made(Client, { defaults });
    const calls = Array.from({ length: most + 1 }, () => settled(client[method]()));
    expect(await calls[most]).toHaveProperty('error.code', 'BULKHEAD_FULL');
    expect(work).toHaveLength(most);
  });

  it('complete a rate limit', async () => {
    const client = await made(Client, { defaults });
    await client.rated();
    expect(await settled(client.rated())).toMatchObject({ error: { retryAfter: 720_000 } });
  });

  it.each([
    ['hedged', 4],
    ['hedgedOnce', 2],
  ] as const)('stand under a hedge: %s starts %i tries', async (method, expected) => {
    const client = await made(Client, { defaults });
    void client[method]();
    await lab.clock.advance(100);
    expect(work).toHaveLength(expected);
  });
});

const missing = (title: string, name: string, list: string, near: string): string =>
  `catalog: ${title} "${name}" is not configured (known: ${list}); did you mean "${near}"?`;
const invalid: [string, object, string][] = [
  [
    'an unknown bulkhead',
    { policies: { catalog: { bulkhead: 'slot' } } },
    missing('bulkhead', 'slot', 'slots', 'slots'),
  ],
  [
    'an unknown rate limit',
    { policies: { catalog: [{ rateLimit: 'quotas' }] } },
    missing('rate limit', 'quotas', 'quota', 'quota'),
  ],
  [
    'an unknown hedge',
    { policies: { catalog: { hedge: 'read' } } },
    missing('hedge', 'read', 'reads', 'reads'),
  ],
  [
    'an unknown budget of a hedge',
    { hedges: { reads: { delay: 1, budget: 'shared' } } },
    'reads: retry budget "shared" is not configured (none is configured)',
  ],
  [
    'an unknown part with a near name',
    { policies: { catalog: { timeout: '1s' } } },
    'policy(catalog).timeout is not a part of a policy',
  ],
  ['no part', { policies: { catalog: {} } }, 'policy(catalog) must have at least one of fallback'],
  ['an empty list', { policies: { catalog: [] } }, 'policy(catalog) must have at least one of'],
  ['an entry without a key', { policies: { catalog: [{}] } }, 'policy(catalog) must have at least'],
  [
    'an entry that is no object',
    { policies: { catalog: ['retry'] } },
    'policy(catalog)[0] must be an object of policy parts, got "retry"',
  ],
  ['a time limit of 0', { policies: { catalog: { timeLimit: 0 } } }, '.limit must be a duration'],
  [
    'an attempt time limit that is none',
    { policies: { catalog: { attemptTimeLimit: 'soon' } } },
    '.limit must be a duration',
  ],
  [
    'a negative queue',
    { bulkheads: { slots: { maxQueue: -1 } } },
    'bulkhead(slots).maxQueue must be a whole number of at least 0, got -1',
  ],
  [
    'a bulkhead of 0',
    { bulkheads: { slots: { maxConcurrent: 0 } } },
    'bulkhead(slots).maxConcurrent must be a whole number of at least 1, got 0',
  ],
  [
    'a rate limit without an interval',
    { rateLimits: { quota: { limit: 1 } } },
    'rateLimit(quota).interval must be',
  ],
  [
    'a rate limit of 0',
    { rateLimits: { quota: { limit: 0, interval: 1 } } },
    'rateLimit(quota).limit must be a whole number of at least 1, got 0',
  ],
  ['a hedge without a delay', { hedges: { reads: {} } }, 'hedge(reads).delay must be'],
  ['a hedge at no quantile', { hedges: { reads: { delay: 'p0' } } }, 'hedge(reads).delay must be'],
  [
    'a fallback that is no function',
    { policies: { catalog: { fallback: 'method' } } },
    'handler must be a function, got "method"',
  ],
  [
    'a bad default of bulkheads',
    { defaults: { bulkhead: { maxQueue: 0.5 } } },
    'bulkhead(defaults).maxQueue must be a whole number of at least 0, got 0.5',
  ],
  [
    'a bad default of rate limits',
    { defaults: { rateLimit: { burst: 0 } } },
    'rateLimit(defaults).burst must be a whole number of at least 1, got 0',
  ],
  [
    'a bad default of hedges',
    { defaults: { hedge: { maxHedges: 0 } } },
    'hedge(defaults).maxHedges must be a whole number of at least 1, got 0',
  ],
];

describe('R34: what is wrong with a named part or policy stops the start', () => {
  it.each(invalid)('%s', async (_title, given, message) => {
    const options = { ...known, ...given };
    expect(await startUpIssues({ imports: [ResilienceModule.forRoot(options)] })).toEqual([
      expect.stringContaining(message),
    ]);
  });

  it.each<[string, MethodDecorator, string]>([
    ['@Bulkhead', Bulkhead('slot'), 'bulkhead "slot" is not configured'],
    ['@RateLimit', RateLimit('rate'), 'rate limit "rate" is not configured'],
    ['@Hedge', Hedge('hedges'), 'hedge "hedges" is not configured'],
    ['@Resilient', Resilient('katalog'), 'policy "katalog" is not configured'],
    ['@Resilient with a part', Resilient({ retry: 'apis' }), 'retry "apis"'],
    ['@Resilient without a part', Resilient({}), 'must have at least one of'],
    ['options of @Bulkhead', Bulkhead({ maxConcurrent: -1 }), '.maxConcurrent must be'],
    ['options of @RateLimit', RateLimit({ limit: 1, interval: 0 }), '.interval must be'],
    ['options of @Hedge', Hedge({ delay: -1 }), '.delay must be'],
  ])('R31: %s', async (_title, decorate, message) => {
    class Client {
      async call(): Promise<void> {
        /* fine */
      }
    }
    const descriptor = Object.getOwnPropertyDescriptor(Client.prototype, 'call') ?? {};
    decorate(Client.prototype, 'call', descriptor);
    Object.defineProperty(Client.prototype, 'call', descriptor);
    const issues = await startUpIssues({
      imports: [ResilienceModule.forRoot(known)],
      providers: [Client],
    });
    expect(issues).toEqual([expect.stringContaining(message)]);
    expect(issues[0]).toContain('Client.call');
  });
});
