import 'reflect-metadata';
import {
  type ArgumentsHost,
  type CallHandler,
  type CanActivate,
  Controller,
  type ExceptionFilter,
  Get,
  type INestApplication,
  type NestInterceptor,
  type PipeTransform,
  Query,
  type Type,
  UseFilters,
  UseGuards,
  UseInterceptors,
  UsePipes,
} from '@nestjs/common';
import { SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import type { Observable } from 'rxjs';
import {
  CircuitBreakerRegistry,
  CircuitProtected,
  ResilienceInterceptor,
  ResilienceModule,
} from 'nestjs-bulwark';
import { resetDefaultRegistry } from 'nestjs-bulwark/testing';
import { closeAll, issuesOf, request, serve, start } from './support/applications.js';

afterEach(closeAll);
afterEach(resetDefaultRegistry);

/** A guard, an interceptor, a pipe and a filter in one. */
class Enhancer implements CanActivate, NestInterceptor, PipeTransform, ExceptionFilter {
  @CircuitProtected('payments')
  async ask(): Promise<boolean> {
    return true;
  }
  canActivate(): Promise<boolean> {
    return this.ask();
  }
  async intercept(_context: unknown, next: CallHandler): Promise<Observable<unknown>> {
    await this.ask();
    return next.handle();
  }
  async transform(value: unknown): Promise<unknown> {
    await this.ask();
    return value;
  }
  async catch(_error: unknown, host: ArgumentsHost): Promise<void> {
    await this.ask();
    const response: { sendStatus(status: number): void } = host.switchToHttp().getResponse();
    response.sendStatus(418);
  }
}

class Answers {
  answer(id?: string): string {
    throw new Error(`no answer for ${String(id)}`);
  }
}
@Controller()
class Plain extends Answers {
  @Get()
  override answer(@Query('id') id?: string): string {
    return super.answer(id);
  }
}

@UseGuards(new Enhancer())
class GuardedClass extends Plain {}
class GuardedMethod extends Answers {
  @UseGuards(new Enhancer())
  @Get()
  override answer(): string {
    return super.answer();
  }
}
@UseInterceptors(new Enhancer())
class InterceptedClass extends Plain {}
class InterceptedMethod extends Answers {
  @Get()
  @UseInterceptors(new Enhancer())
  @CircuitProtected()
  override answer(): string {
    return super.answer();
  }
}
@UsePipes(new Enhancer())
class PipedClass extends Plain {}
class PipedMethod extends Answers {
  @UsePipes(new Enhancer())
  @Get()
  override answer(@Query('id') id?: string): string {
    return super.answer(id);
  }
}
class PipedParameter extends Answers {
  @Get()
  override answer(@Query('id', new Enhancer()) id?: string): string {
    return super.answer(id);
  }
}
@UseFilters(new Enhancer())
class FilteredClass extends Plain {}
class FilteredMethod extends Answers {
  @UseFilters(new Enhancer())
  @Get()
  override answer(): string {
    return super.answer();
  }
}
class InheritedMethod extends GuardedMethod {}

const startWith = (
  controller: Type,
  prepare?: (app: INestApplication) => unknown,
): Promise<INestApplication> => {
  Controller()(controller);
  const resilience = ResilienceModule.forRoot({ circuitBreakers: { payments: {} } });
  return serve({ imports: [resilience], controllers: [controller] }, 'Express', prepare);
};

const callsOf = (app: INestApplication): number =>
  app.get(CircuitBreakerRegistry).get('payments').stats.totalCalls;

describe('R41: what an enhancer given as an instance calls passes the breakers of the application', () => {
  it.each([
    ['a guard of a class', GuardedClass],
    ['a guard of a method', GuardedMethod],
    ['a guard of an inherited method', InheritedMethod],
    ['an interceptor of a class', InterceptedClass],
    ['an interceptor of a method of ours', InterceptedMethod],
    ['a pipe of a class', PipedClass],
    ['a pipe of a method', PipedMethod],
    ['a pipe of a parameter', PipedParameter],
    ['a filter of a class', FilteredClass],
    ['a filter of a method', FilteredMethod],
  ])('%s', async (_kind, controller) => {
    const app = await startWith(controller);
    await request(app).get('/?id=7');
    expect(callsOf(app)).toBe(1);
  });

  it.each<[string, (app: INestApplication) => unknown]>([
    ['guard', (app) => app.useGlobalGuards(new Enhancer())],
    ['interceptor', (app) => app.useGlobalInterceptors(new Enhancer())],
    ['pipe', (app) => app.useGlobalPipes(new Enhancer())],
    ['filter', (app) => app.useGlobalFilters(new Enhancer())],
  ])('a global %s', async (_kind, prepare) => {
    const app = await startWith(class extends Plain {}, prepare);
    await request(app).get('/?id=7');
    expect(callsOf(app)).toBe(1);
  });

  it('in each of two applications that have the class one after the other', async () => {
    for (const app of [await startWith(GuardedClass), await startWith(GuardedClass)]) {
      await app.close();
    }
    const app = await startWith(GuardedClass);
    await request(app).get('/');
    expect(callsOf(app)).toBe(1);
  });
});

describe('R31: an enhancer given as an instance that names an unknown policy stops the start', () => {
  const Interceptor = ResilienceInterceptor('katalog');
  const unknown = [expect.stringContaining('policy "katalog" is not configured')];

  it('on a controller', async () => {
    @UseInterceptors(new Interceptor())
    class Intercepted extends Plain {}
    expect(await issuesOf(startWith(Intercepted))).toEqual(unknown);
  });

  it('on a gateway', async () => {
    @WebSocketGateway()
    class Gateway {
      @UseInterceptors(new Interceptor())
      @SubscribeMessage('items')
      items(): string[] {
        return [];
      }
    }
    const starting = start({ imports: [ResilienceModule.forRoot()], providers: [Gateway] });
    expect(await issuesOf(starting)).toEqual(unknown);
  });

  it('for the whole application', async () => {
    const starting = startWith(class extends Plain {}, (app) =>
      app.useGlobalInterceptors(new Interceptor()),
    );
    expect(await issuesOf(starting)).toEqual(unknown);
  });
});
