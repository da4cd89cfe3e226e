import 'reflect-metadata';
import {
  type ArgumentsHost,
  Catch,
  Controller,
  type DynamicModule,
  type ExceptionFilter,
  Get,
  type INestApplication,
  Module,
  type Provider,
  Scope,
  type Type,
} from '@nestjs/common';
import { APP_FILTER } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import {
  CircuitBreakerError,
  ResilienceExceptionFilter,
  ResilienceModule,
  TimeoutError,
} from 'nestjs-bulwark';
import {
  ADAPTERS,
  type Adapter,
  closeAll,
  moduleOf,
  request,
  serve,
} from './support/applications.js';

interface Response {
  status(code: number): { send(body: string): void };
}
function answer(host: ArgumentsHost, body: string): void {
  host.switchToHttp().getResponse<Response>().status(418).send(body);
}

@Catch()
class Everything implements ExceptionFilter {
  catch(_error: unknown, host: ArgumentsHost): void {
    answer(host, 'own');
  }
}
@Catch(CircuitBreakerError)
class OpenCircuits extends Everything {}

@Controller()
class Routes {
  @Get('open')
  open(): never {
    throw new CircuitBreakerError('payments', { remainingTimeout: 1 });
  }
  @Get('slow')
  slow(): never {
    throw new TimeoutError(1);
  }
}

const root = (): DynamicModule => ResilienceModule.forRoot();
const rootAsync = (): DynamicModule =>
  ResilienceModule.forRootAsync({ useFactory: () => Promise.resolve({}) });
const globally = (filter: Type): Provider => ({ provide: APP_FILTER, useClass: filter });

type Place = (filter: Type, adapter: Adapter) => Promise<INestApplication>;
const places: [string, Place][] = [
  [
    "the application's own module",
    (filter, adapter) =>
      serve({ imports: [root()], controllers: [Routes], providers: [globally(filter)] }, adapter),
  ],
  [
    "the application's own module, with forRootAsync",
    (filter, adapter) =>
      serve(
        { imports: [rootAsync()], controllers: [Routes], providers: [globally(filter)] },
        adapter,
      ),
  ],
  [
    'a module imported before',
    (filter, adapter) => {
      const imports = [moduleOf({ providers: [globally(filter)] }), root()];
      return serve({ imports, controllers: [Routes] }, adapter);
    },
  ],
  [
    'a module imported after',
    (filter, adapter) => {
      const imports = [root(), moduleOf({ providers: [globally(filter)] })];
      return serve({ imports, controllers: [Routes] }, adapter);
    },
  ],
  [
    'a filter made for each request',
    (filter, adapter) => {
      const provider = { provide: APP_FILTER, useClass: filter, scope: Scope.REQUEST };
      return serve({ imports: [root()], controllers: [Routes], providers: [provider] }, adapter);
    },
  ],
];

afterEach(closeAll);

describe.each(ADAPTERS)("R50: on %s, the application's own global filter", (adapter) => {
  describe.each(places)('of %s', (_place, start) => {
    it('for every error wins', async () => {
      const app = await start(Everything, adapter);
      await request(app).get('/open').expect(418, 'own');
      await request(app).get('/slow').expect(418, 'own');
    });

    it('for one of our errors wins, and the others are answered', async () => {
      const app = await start(OpenCircuits, adapter);
      await request(app).get('/open').expect(418, 'own');
      await request(app).get('/slow').expect(504);
    });
  });

  it('may stand before ours, where ours is named after it', async () => {
    const providers = [globally(Everything), globally(ResilienceExceptionFilter)];
    const imports = [ResilienceModule.forRoot({ http: { mapErrors: false } })];
    const app = await serve({ imports, controllers: [Routes], providers }, adapter);
    await request(app).get('/open').expect(503);
    await request(app).get('/nothing').expect(418, 'own');
  });
});

describe('R50: filters given by useGlobalFilters', () => {
  @Module({ imports: [root()], controllers: [Routes] })
  class AppModule {}

  it.each([Everything, OpenCircuits])('win', async (filter) => {
    const module = await Test.createTestingModule({ imports: [AppModule] }).compile();
    const app = module.createNestApplication({ logger: false });
    app.useGlobalFilters(new filter());
    await app.init();
    await request(app).get('/open').expect(418, 'own');
    await app.close();
  });
});
