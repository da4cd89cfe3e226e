/** A generic mock for all that is missing in a testing module is given in place of our registry, too. */
import 'reflect-metadata';
import {
  Controller,
  Get,
  Inject,
  Injectable,
  Scope,
  type Type,
  UseInterceptors,
} from '@nestjs/common';
import { Test, type TestingModule } from '@nestjs/testing';
import {
  CircuitBreakerRegistry,
  CircuitProtected,
  ResilienceInterceptor,
  ResilienceModule,
  Retry,
} from 'nestjs-bulwark';
import { resetDefaultRegistry } from 'nestjs-bulwark/testing';
import { down } from '../support/lab.js';
import { request } from '../nest/support/applications.js';

const GATEWAY = Symbol('gateway');
interface Gateway {
  send(): Promise<string>;
}

let app: TestingModule | undefined;
let failures: number;
beforeEach(() => {
  failures = 1;
});
afterEach(async () => {
  await app?.close();
  resetDefaultRegistry();
});

async function send(): Promise<string> {
  if (failures-- > 0) throw down;
  return 'sent';
}
/** Answers every property but `then`, as mocks made of a Proxy do. */
const anything = (): object =>
  new Proxy({}, { get: (_own, key) => (key === 'then' ? undefined : anything) });

const mockers: [string, () => object][] = [
  ['an object', () => ({ send })],
  ['a Proxy', anything],
];
/** Nest 11 mocks nothing that an instance for a request needs. */
const gateway = { provide: GATEWAY, useValue: { send } };

describe.each(mockers)('useMocker with %s', (_what, mocker) => {
  @Injectable()
  class Orders {
    constructor(@Inject(GATEWAY) private readonly gateway: Gateway) {}
    @Retry({ maxAttempts: 2, baseDelay: 0 })
    @CircuitProtected({ failureThreshold: 2 })
    order(): Promise<string> {
      return this.gateway.send();
    }
  }
  @Injectable({ scope: Scope.REQUEST })
  class RequestOrders extends Orders {}
  @Injectable()
  class Frozen extends Orders {
    constructor(@Inject(GATEWAY) gateway: Gateway) {
      super(gateway);
      Object.freeze(this);
    }
  }

  it.each<[string, Type<Orders>]>([
    ['a singleton', Orders],
    ['a request-scoped instance', RequestOrders],
    ['a frozen instance', Frozen],
  ])('%s works as without a module', async (_kind, type) => {
    const made = Test.createTestingModule({ providers: [type, gateway] }).useMocker(mocker);
    app = await made.compile();
    const orders = await app.resolve(type);
    await expect(orders.order()).resolves.toBe('sent');
    expect(failures).toBe(-1);
  });

  it('a decorated class of an application with the module has its registry', async () => {
    const imports = [ResilienceModule.forRoot({ retries: { api: {} } })];
    app = await Test.createTestingModule({ imports, providers: [Orders, gateway] })
      .useMocker(mocker)
      .compile();
    await app.init();
    await expect(app.get(Orders).order()).resolves.toBe('sent');
    const [breaker] = app.get(CircuitBreakerRegistry);
    expect(breaker?.stats.totalCalls).toBe(2);
  });

  it('the interceptor works as without a module', async () => {
    @Controller()
    class Routes {
      @Get()
      @UseInterceptors(ResilienceInterceptor({ retry: { maxAttempts: 2, baseDelay: 0 } }))
      order(): Promise<string> {
        return send();
      }
    }
    app = await Test.createTestingModule({ controllers: [Routes] })
      .useMocker(mocker)
      .compile();
    const served = await app.createNestApplication({ logger: false }).init();
    await request(served).get('/').expect(200, 'sent');
    await served.close();
  });
});
