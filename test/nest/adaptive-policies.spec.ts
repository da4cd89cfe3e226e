import { Injectable } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  AdaptiveLimit,
  BulkheadRejectedError,
  ClientThrottle,
  ResilienceEvents,
  ResilienceInspector,
  ResilienceModule,
  type ResilienceModuleOptions,
  Resilient,
  ThrottledError,
} from 'nestjs-bulwark';
import { httpAnswerTo } from '../../lib/nest/http-answer.js';
import { Lab, thrownBy } from '../support/lab.js';

const overloaded = Object.assign(new Error('http'), { status: 503 });

@Injectable()
class Service {
  @AdaptiveLimit('search')
  search(): Promise<string> {
    return new Promise(() => undefined);
  }

  @AdaptiveLimit({ initialLimit: 3, maxLimit: 3 })
  list(): string {
    return 'items';
  }

  @ClientThrottle('stock')
  stock(): string {
    throw overloaded;
  }

  @ClientThrottle()
  other(): string {
    return 'fine';
  }

  @Resilient({
    adaptiveLimit: 'search',
    bulkhead: {},
    attemptTimeLimit: '1s',
    rateLimit: { limit: 1, interval: 1 },
    clientThrottle: 'stock',
    circuitBreaker: {},
    retry: {},
  })
  all(): Promise<string> {
    return Promise.resolve('all');
  }
}

async function start(options: ResilienceModuleOptions = {}) {
  const lab = new Lab();
  const named: ResilienceModuleOptions = {
    adaptiveLimits: { search: { initialLimit: 1, maxLimit: 1 } },
    throttles: { stock: { minimumCalls: 1 } },
  };
  const module = await Test.createTestingModule({
    imports: [ResilienceModule.forRoot({ ...named, ...options, runtime: lab.runtime })],
    providers: [Service],
  }).compile();
  await module.init();
  return { lab, module, service: module.get(Service) };
}

const refused = (options: ResilienceModuleOptions): Promise<unknown> =>
  start(options).then(
    () => undefined,
    (error: unknown) => error,
  );

describe('an adaptive limit and a client throttle', () => {
  it('are named by decorators and rejects as they are configured', async () => {
    const { lab, module, service } = await start();
    void service.search();
    await expect(service.search()).rejects.toBeInstanceOf(BulkheadRejectedError);
    expect(service.list()).toBe('items');
    lab.random = 0.9;
    expect(thrownBy(() => service.stock())).toBe(overloaded);
    lab.random = 0;
    expect(thrownBy(() => service.stock())).toMatchObject({ throttleName: 'stock' });
    expect(service.other()).toBe('fine');
    await module.close();
  });

  it('have their places in the fixed order', async () => {
    const { module } = await start();
    const { methods } = module.get(ResilienceInspector).report();
    const all = methods.find(({ name }) => name === 'Service.all');
    expect(all?.policies.map(({ kind }) => kind)).toEqual([
      'retry',
      'clientThrottle',
      'circuitBreaker',
      'rateLimit',
      'bulkhead',
      'adaptiveLimit',
      'timeLimit',
    ]);
    await module.close();
  });

  it('tell that they rejected', async () => {
    const { lab, module, service } = await start();
    const seen: unknown[] = [];
    module.get(ResilienceEvents).subscribe(({ type, policy }) => seen.push([type, policy]));
    void service.search();
    await service.search().catch(() => undefined);
    lab.random = 0.9;
    thrownBy(() => service.stock());
    lab.random = 0;
    thrownBy(() => service.stock());
    expect(seen).toEqual([
      ['adaptive-limit.rejected', 'adaptiveLimit:search'],
      ['throttle.rejected', 'clientThrottle:stock'],
    ]);
    await module.close();
  });

  it('take the defaults of the application', async () => {
    const { module } = await start({
      defaults: { adaptiveLimit: { maxLimit: 50 }, clientThrottle: { multiplier: 3 } },
      adaptiveLimits: { search: {} },
      throttles: { stock: { minimumCalls: 5 } },
    });
    const { methods } = module.get(ResilienceInspector).report();
    const optionsOf = (name: string) =>
      methods.find((method) => method.name === name)?.policies[0]?.options;
    expect(optionsOf('Service.search')).toMatchObject({ maxLimit: 50 });
    expect(optionsOf('Service.stock')).toMatchObject({ multiplier: 3, minimumCalls: 5 });
    await module.close();
  });

  it.each<[ResilienceModuleOptions, string]>([
    [{ adaptiveLimits: {} }, 'adaptive limit "search" is not configured'],
    [{ throttles: { stok: {} } }, 'did you mean "stok"?'],
    [{ throttles: { stock: { windw: 5 } as never } }, 'did you mean "window"?'],
    [{ adaptiveLimits: { search: { maxLimit: 0 } } }, 'adaptiveLimit(search).maxLimit must be'],
  ])('are checked when the application starts: %j', async (options, message) => {
    expect(String(await refused(options))).toContain(message);
  });

  it('answer HTTP clients with 503', () => {
    expect(httpAnswerTo(new ThrottledError('stock'))).toEqual({
      status: 503,
      body: {
        statusCode: 503,
        error: 'Service Unavailable',
        message: 'The service is temporarily unavailable',
      },
    });
  });
});
