import { Injectable } from '@nestjs/common';
import {
  Bulkhead,
  BulkheadPolicy,
  CircuitBreakerRegistry,
  CircuitProtected,
  InjectPolicy,
  type Pipeline,
  RateLimit,
  ResilienceConfigError,
  ResilienceConfigurator,
  ResilienceInspector,
  ResilienceModule,
  type ResilienceModuleOptions,
  Resilient,
  Retry,
  RetrySync,
  TimeoutError,
  bulkhead,
} from 'nestjs-bulwark';
import { settlePromises } from 'nestjs-bulwark/testing';
import {
  type Deferred,
  Lab,
  type Outcome,
  deferred,
  down,
  settled,
  thrownBy,
} from '../support/lab.js';
import { closeAll, start } from './support/applications.js';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(closeAll);

const handmade = bulkhead({ maxConcurrent: 1 });

const OPTIONS: ResilienceModuleOptions = {
  circuitBreakers: {
    payments: { failureThreshold: 5, recoveryTimeout: 1000 },
    stock: { failureThreshold: 5 },
  },
  retries: { api: { maxAttempts: 3, baseDelay: 10, jitter: 0 } },
  bulkheads: { reports: { maxConcurrent: 1, maxQueue: 5 }, plain: { maxConcurrent: 1 } },
  rateLimits: { partner: { limit: 1, interval: 1000 } },
  hedges: { fast: { delay: 5 } },
  budgets: { shared: { ratio: 0, minPerSecond: 0 } },
  policies: {
    catalog: { timeLimit: '1s', retry: 'api', bulkhead: { maxConcurrent: 2 }, hedge: 'fast' },
    inline: {
      timeLimit: 100,
      retry: { maxAttempts: 2, baseDelay: 1, jitter: 0 },
      circuitBreaker: { failureThreshold: 9 },
      rateLimit: { limit: 100, interval: 1000 },
      attemptTimeLimit: 50,
      fallback: () => 'instead',
    },
    listed: [{ timeLimit: '1s' }, { retry: { maxAttempts: 2 } }, { timeLimit: '100ms' }],
    foreign: { bulkhead: handmade },
    reporting: { bulkhead: 'reports' },
  },
};

@Injectable()
class Shop {
  readonly works: Deferred[] = [];
  attempts = 0;

  constructor(
    @InjectPolicy('catalog') readonly catalog: Pipeline,
    @InjectPolicy('inline') readonly inline: Pipeline,
    @InjectPolicy('reporting') readonly reporting: Pipeline,
  ) {}

  #work(): Promise<unknown> {
    const work = deferred();
    this.works.push(work);
    return work.promise;
  }

  @CircuitProtected('payments')
  charge(): Promise<unknown> {
    return this.#work();
  }

  @CircuitProtected('stock', { key: (shop: string) => shop })
  count(shop: string): Promise<string> {
    return shop === '' ? Promise.resolve('none') : Promise.reject(down);
  }

  @Bulkhead('reports')
  report(): Promise<unknown> {
    return this.#work();
  }

  @RateLimit('partner')
  ask(): string {
    return 'answer';
  }

  @Retry('api')
  async find(): Promise<never> {
    this.attempts++;
    throw down;
  }

  @RetrySync('api')
  findNow(): string {
    this.attempts++;
    throw down;
  }

  @Resilient('catalog')
  browse(): Promise<unknown> {
    return new Promise(() => undefined);
  }

  async end(): Promise<void> {
    for (const work of this.works) work.resolve('done');
    await settlePromises();
  }
}

async function open(options: ResilienceModuleOptions = OPTIONS) {
  const app = await start({
    imports: [ResilienceModule.forRoot({ runtime: lab.runtime, ...options })],
    providers: [Shop],
  });
  const configurator = app.get(ResilienceConfigurator);
  const breakers = app.get(CircuitBreakerRegistry);
  const issuesOf = (changes: unknown): readonly string[] => {
    const error = thrownBy(() => configurator.configure(changes as never));
    expect(error).toBeInstanceOf(ResilienceConfigError);
    return (error as ResilienceConfigError).issues;
  };
  return { app, shop: app.get(Shop), configurator, breakers, issuesOf };
}

describe('R75 ResilienceConfigurator', () => {
  it('changes what it names, in every group at once, and keeps state and statistics', async () => {
    const { shop, configurator, breakers } = await open();
    const payments = breakers.get('payments');
    for (let call = 0; call < 2; call++) {
      void settled(shop.charge());
      shop.works.pop()?.reject(down);
    }
    await settlePromises();
    void shop.report();
    void shop.report();
    expect(shop.works).toHaveLength(1);

    configurator.configure({
      circuitBreakers: { payments: { failureThreshold: 3 } },
      retries: { api: { maxAttempts: 2 } },
      bulkheads: { reports: { maxConcurrent: 2 } },
      rateLimits: { partner: { limit: 10 } },
      policies: { catalog: { timeLimit: '3s', bulkhead: { maxConcurrent: 7 } } },
    });

    expect(payments.options).toMatchObject({ failureThreshold: 3, recoveryTimeout: 1000 });
    expect(payments.stats).toMatchObject({ failedCalls: 2, consecutiveFailures: 2 });
    expect(shop.works).toHaveLength(2); // the report that waited has begun
    expect(shop.catalog.describe()).toMatchObject([
      { kind: 'timeLimit', options: { limit: 3000 } },
      { kind: 'retry', options: { maxAttempts: 2, baseDelay: 10 } },
      { kind: 'hedge' },
      { kind: 'bulkhead', options: { maxConcurrent: 7 } },
    ]);

    void settled(shop.charge());
    shop.works.pop()?.reject(down);
    await settlePromises();
    expect(payments.state).toBe('open');
  });

  it('reaches methods that are compiled already, with promises and without', async () => {
    const { shop, configurator } = await open();
    configurator.configure({ retries: { api: { maxAttempts: 5 } } });
    expect(await lab.errorOf(shop.find())).toMatchObject({ attempts: 5 });
    expect(thrownBy(() => shop.findNow())).toMatchObject({ attempts: 5 });
    expect(shop.attempts).toBe(10);
  });

  it('changes the breaker of each key along with their name', async () => {
    const { shop, configurator, breakers } = await open();
    await settled(shop.count('north'));
    configurator.configure({ circuitBreakers: { stock: { failureThreshold: 2 } } });
    await settled(shop.count('north'));
    await settled(shop.count('south'));
    const keyed = breakers.keyed('stock');
    expect([keyed.for('north').state, keyed.for('south').state]).toEqual(['open', 'closed']);
  });

  it('changes each kind of part that stands in a policy with options of its own', async () => {
    const { shop, configurator } = await open();
    configurator.configure({
      policies: {
        inline: {
          timeLimit: { limit: 500, mode: 'shadow' },
          retry: { maxAttempts: 4 },
          circuitBreaker: { failureThreshold: 2 },
          rateLimit: { burst: 7 },
          attemptTimeLimit: 20,
        },
      },
    });
    expect(shop.inline.describe().map(({ options }) => options)).toMatchObject([
      {},
      { limit: 500, mode: 'shadow' },
      { maxAttempts: 4, baseDelay: 1 },
      { failureThreshold: 2 },
      { limit: 100, burst: 7 },
      { limit: 20, mode: 'enforce' },
    ]);
  });

  it('times out calls that begin after the change at the new limit', async () => {
    const { shop, configurator } = await open();
    const ends: [number, number][] = [];
    const begin = (): void => {
      shop.browse().catch((error: unknown) => {
        ends.push([(error as TimeoutError).timeout, lab.clock.now()]);
      });
    };
    begin();
    configurator.configure({ policies: { catalog: { timeLimit: '3s' } } });
    begin();
    await lab.clock.runAll();
    expect(ends).toEqual([
      [1000, 1000],
      [3000, 3000],
    ]);
  });

  it('finds the budget of the application by its name', async () => {
    const { shop, configurator } = await open();
    configurator.configure({ retries: { api: { budget: 'shared' } } });
    expect(await lab.errorOf(shop.find())).toMatchObject({ reason: 'budget' });
  });

  it('changes nothing for what is empty or undefined', async () => {
    const { configurator, breakers } = await open();
    const before = breakers.get('payments').options;
    configurator.configure({});
    configurator.configure({ bulkheads: undefined, circuitBreakers: { payments: undefined } });
    configurator.configure({ policies: { catalog: { timeLimit: undefined, bulkhead: {} } } });
    configurator.configure({ circuitBreakers: { payments: { failureThreshold: undefined } } });
    expect(breakers.get('payments').options).toEqual(before);
  });

  it('takes the options of the module, written again: what reads a whole file needs no diff', async () => {
    const { configurator, shop } = await open();
    const { circuitBreakers, retries, bulkheads, rateLimits } = OPTIONS;
    configurator.configure({ circuitBreakers, retries, bulkheads, rateLimits });
    expect(shop.catalog.describe()[1]).toMatchObject({ options: { maxAttempts: 3 } });
  });

  it('asks first, and changes when it is told', async () => {
    const { configurator, breakers } = await open();
    const apply = configurator.prepare({ circuitBreakers: { payments: { failureThreshold: 3 } } });
    expect(breakers.get('payments').options.failureThreshold).toBe(5);
    apply();
    expect(breakers.get('payments').options.failureThreshold).toBe(3);
  });

  it('leaves what others have changed since it was asked', async () => {
    const { configurator, breakers } = await open();
    const apply = configurator.prepare({ circuitBreakers: { payments: { failureThreshold: 3 } } });
    configurator.configure({ circuitBreakers: { payments: { recoveryTimeout: 7 } } });
    apply();
    const { options } = breakers.get('payments');
    expect(options).toMatchObject({ failureThreshold: 3, recoveryTimeout: 7 });
  });

  it('changes what was checked, whatever is written into the object later', async () => {
    const { configurator, breakers } = await open();
    const payments = { failureThreshold: 3 };
    const apply = configurator.prepare({ circuitBreakers: { payments } });
    payments.failureThreshold = -1;
    apply();
    expect(breakers.get('payments').options.failureThreshold).toBe(3);
  });

  it('changes the options of one application and of no other', async () => {
    const [one, other] = [await open(), await open()];
    one.configurator.configure({ circuitBreakers: { payments: { failureThreshold: 3 } } });
    expect(one.breakers.get('payments').options.failureThreshold).toBe(3);
    expect(other.breakers.get('payments').options.failureThreshold).toBe(5);
  });
});

describe('R75 a bad change', () => {
  it('changes nothing at all, and names every problem', async () => {
    const { app, shop, breakers, issuesOf } = await open();
    const breaker = breakers.get('payments').options;
    const report = app.get(ResilienceInspector).report();
    const before = JSON.stringify([shop.catalog.describe(), shop.inline.describe()]);
    expect(
      issuesOf({
        circuitBreakers: { payments: { failureThreshold: 1 }, payment: { failureThreshold: 0 } },
        retries: { api: { maxAttempts: 0 } },
        bulkheads: { reports: { maxConcurrent: 9 }, plain: { maxQueue: 3 } },
        policies: { catalog: { timeLimit: 'soon', bulkhead: { maxConcurrent: 3 } } },
      }),
    ).toEqual([
      'ResilienceConfigurator.configure(): circuit breaker "payment" is not configured (known: payments, stock); did you mean "payments"?',
      'retry(api).maxAttempts must be a whole number of at least 1, got 0',
      expect.stringContaining('bulkhead(plain).maxQueue cannot become 3 while the policy works'),
      expect.stringMatching(
        /^policies\.catalog\.timeLimit: timeLimit\(.*\)\.limit must be a duration .*, got "soon"$/,
      ),
    ]);
    expect(breakers.get('payments').options).toBe(breaker);
    expect(JSON.stringify([shop.catalog.describe(), shop.inline.describe()])).toBe(before);
    expect(app.get(ResilienceInspector).report()).toEqual(report);
  });

  it.each([
    [null, 'changes must be an object, got null'],
    [[], 'changes must be an object, got []'],
    [{ bulkheads: 5 }, 'bulkheads must be an object, got 5'],
    [{ bulkheads: null }, 'bulkheads must be an object, got null'],
    [{ bulkheads: { plain: 5 } }, 'bulkheads.plain must be an object, got 5'],
    [{ retries: { api: null } }, 'retries.api must be an object, got null'],
    [
      { bulkhead: { plain: {} } },
      'changes.bulkhead is not a group of named policies; did you mean "bulkheads"?',
    ],
    [
      { hedges: { fast: { delay: 1 } } },
      'hedges cannot change while the application works; what can: circuitBreakers, retries, bulkheads, rateLimits, policies',
    ],
    [
      { bulkheads: { other: {} } },
      'ResilienceConfigurator.configure(): bulkhead "other" is not configured (known: reports, plain)',
    ],
    [
      { retries: { api: { budget: 'other' } } },
      'retries.api: retry budget "other" is not configured (known: shared)',
    ],
  ])('%j: %s', async (changes, issue) => {
    const { issuesOf } = await open();
    expect(issuesOf(changes)).toEqual([issue]);
  });

  it.each([
    [
      { catalog: { rateLimit: { limit: 5 } } },
      'catalog.rateLimit cannot be added while the application works; the policy has timeLimit, retry, hedge, bulkhead',
    ],
    [
      { catalog: { timeLimits: '3s' } },
      'catalog.timeLimits is not a part of a policy; did you mean "timeLimit"?',
    ],
    [
      { catalog: { timeLimit: null } },
      'catalog.timeLimit cannot be removed while the application works',
    ],
    [
      { catalog: { bulkhead: false } },
      'catalog.bulkhead cannot be removed while the application works',
    ],
    [
      { catalog: { retry: { maxAttempts: 2 } } },
      'catalog.retry is the retry "api"; change it in retries.api',
    ],
    [{ catalog: { retry: 'other' } }, 'catalog.retry is the retry "api"; change it in retries.api'],
    [{ inline: { retry: 'api' } }, 'inline.retry must be an object of options, got "api"'],
    [
      { inline: { fallback: () => 'other' } },
      'inline.fallback cannot change while the application works',
    ],
    [
      { listed: { timeLimit: '2s' } },
      'listed.timeLimit stands in this policy 2 times, and a change cannot tell which is meant',
    ],
    [
      { foreign: { bulkhead: { maxConcurrent: 2 } } },
      'foreign.bulkhead was made by hand; call its configure()',
    ],
  ])('of a policy, %j: %s', async (changes, issue) => {
    const { issuesOf } = await open();
    expect(issuesOf({ policies: changes })).toEqual([`policies.${issue}`]);
  });

  it('leaves a list alone but for the part that it has once', async () => {
    const { configurator, issuesOf } = await open();
    configurator.configure({ policies: { listed: { retry: { maxAttempts: 5 } } } });
    expect(issuesOf({ policies: { listed: { retry: { maxAttempts: 0 } } } })).toEqual([
      expect.stringContaining('policies.listed.retry: retry(listed#1).maxAttempts must be'),
    ]);
  });
});

function bulkheadOf(policy: Pipeline): BulkheadPolicy {
  const [found] = policy.parts().filter((part) => part instanceof BulkheadPolicy);
  if (found === undefined) throw new Error('No bulkhead');
  return found;
}

async function served(outcomes: readonly Promise<Outcome<unknown>>[]): Promise<number> {
  return (await Promise.all(outcomes)).filter((outcome) => 'value' in outcome).length;
}

describe('R75 changes during load', () => {
  it('lose no statistic and no permit in flight, good and bad ones alike', async () => {
    const { shop, configurator, breakers, issuesOf } = await open();
    const outcomes: Promise<Outcome<unknown>>[] = [];
    for (let round = 0; round < 40; round++) {
      for (let call = 0; call < 5; call++) outcomes.push(settled(shop.report()));
      void settled(shop.charge());
      configurator.configure({
        bulkheads: { reports: { maxConcurrent: 1 + (round % 7), maxQueue: 50 + round } },
        circuitBreakers: { payments: { failureThreshold: 5 + (round % 3) } },
      });
      if (round % 4 === 0) issuesOf({ bulkheads: { reports: { maxConcurrent: 0 } } });
      await settlePromises();
      for (const work of shop.works.splice(0, 3)) work.resolve('done');
      await settlePromises();
    }
    configurator.configure({ bulkheads: { reports: { maxConcurrent: 500 } } });
    await shop.end();
    await shop.end();
    const { calls, inUse, queued } = bulkheadOf(shop.reporting).snapshot();
    expect({ inUse, queued }).toEqual({ inUse: 0, queued: 0 });
    expect(calls).toMatchObject({ aborted: 0, queue_timeout: 0 });
    expect(calls.accepted + calls.rejected).toBe(200);
    expect(await served(outcomes)).toBe(calls.accepted);
    expect(breakers.get('payments').stats).toMatchObject({
      totalCalls: 40,
      successfulCalls: 40,
      inFlight: 0,
    });
  });
});

describe('R73 the start-up report', () => {
  it.each([
    ['enforce', 1000],
    ['shadow', undefined],
  ] as const)('of a time limit that is to %s: at most %p ms', async (mode, worstCaseDuration) => {
    const { app } = await open({
      ...OPTIONS,
      policies: { ...OPTIONS.policies, catalog: { timeLimit: { limit: '1s', mode } } },
    });
    const { methods } = app.get(ResilienceInspector).report();
    expect(methods.find(({ name }) => name === 'Shop.browse')).toMatchObject({
      worstCaseDuration,
    });
  });
});
