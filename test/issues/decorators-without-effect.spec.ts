import 'reflect-metadata';
import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  Header,
  HttpCode,
  Inject,
  Injectable,
  Scope,
  SetMetadata,
  UseGuards,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import {
  CircuitBreakerRegistry,
  CircuitProtected,
  ResilienceModule,
  Resilient,
  Retry,
  TimeLimit,
} from 'nestjs-bulwark';
import { Lab, down } from '../support/lab.js';
import { ADAPTERS, closeAll, request, serve, throughWaits } from '../nest/support/applications.js';

afterEach(closeAll);

class Ailing {
  @CircuitProtected('ailing')
  async call(): Promise<string> {
    throw down;
  }
}
@Injectable()
class Singleton extends Ailing {}
@Injectable({ scope: Scope.TRANSIENT })
class Transient extends Ailing {}
@Injectable({ scope: Scope.REQUEST })
class PerRequest extends Ailing {}

@Controller('direct')
class Direct {
  @Get()
  @CircuitProtected('ailing')
  async get(): Promise<string> {
    throw down;
  }
}
@Controller({ path: 'direct-per-request', scope: Scope.REQUEST })
class DirectPerRequest extends Direct {}
@Controller('inherited')
class Inherited extends Direct {}

@Controller()
class Routes {
  constructor(
    private readonly singleton: Singleton,
    private readonly transient: Transient,
    private readonly perRequest: PerRequest,
    @Inject('made') private readonly made: Ailing,
    @Inject('value') private readonly value: Ailing,
  ) {}
  @Get('singleton')
  bySingleton(): Promise<string> {
    return this.singleton.call();
  }
  @Get('transient')
  byTransient(): Promise<string> {
    return this.transient.call();
  }
  @Get('per-request')
  byPerRequest(): Promise<string> {
    return this.perRequest.call();
  }
  @Get('factory')
  byFactory(): Promise<string> {
    return this.made.call();
  }
  @Get('value')
  byValue(): Promise<string> {
    return this.value.call();
  }
}

describe.each(ADAPTERS)('silently unprotected over %s:', (adapter) => {
  it.each([
    ['a provider', 'singleton'],
    ['a transient provider', 'transient'],
    ['a provider for each request', 'per-request'],
    ['what a factory made', 'factory'],
    ['a value', 'value'],
    ['a controller', 'direct'],
    ['a controller for each request', 'direct-per-request'],
    ['a controller that inherits its route', 'inherited'],
  ])('%s', async (_kind, path) => {
    const lab = new Lab();
    const application = await serve(
      {
        imports: [
          ResilienceModule.forRoot({
            circuitBreakers: { ailing: { failureThreshold: 2 } },
            runtime: lab.runtime,
          }),
        ],
        controllers: [Routes, Direct, DirectPerRequest, Inherited],
        providers: [
          Singleton,
          Transient,
          PerRequest,
          { provide: 'made', useFactory: () => new Ailing() },
          { provide: 'value', useValue: new Ailing() },
        ],
      },
      adapter,
    );
    const statuses: number[] = [];
    for (let call = 0; call < 3; call++) {
      statuses.push((await request(application).get(`/${path}`)).status);
    }
    expect(statuses).toEqual([500, 500, 503]);
    const breaker = application.get(CircuitBreakerRegistry).get('ailing');
    expect(breaker.stats).toMatchObject({ failedCalls: 2, rejectedCalls: 1 });
  });
});

@Injectable()
class RolesGuard implements CanActivate {
  constructor(@Inject(Reflector) private readonly reflector: Reflector) {}

  canActivate(context: ExecutionContext): boolean {
    const role = this.reflector.get<string | undefined>('role', context.getHandler());
    const { headers } = context.switchToHttp().getRequest<{ headers: Record<string, string> }>();
    return role !== undefined && headers['x-role'] === role;
  }
}

const Admins = SetMetadata('role', 'admin');
let attempts: number;
/** Fails once, so that only a retry that has its effect answers. */
async function vault(): Promise<string> {
  if (++attempts === 1) throw down;
  return 'gold';
}

@Controller()
class Vault {
  @Get('below')
  @HttpCode(202)
  @Header('x-kept', 'yes')
  @UseGuards(RolesGuard)
  @Admins
  @Retry({ baseDelay: 1 })
  @TimeLimit('1s')
  below(): Promise<string> {
    return vault();
  }

  @Retry({ baseDelay: 1 })
  @TimeLimit('1s')
  @Get('above')
  @HttpCode(202)
  @Header('x-kept', 'yes')
  @UseGuards(RolesGuard)
  @Admins
  above(): Promise<string> {
    return vault();
  }

  @Retry({ baseDelay: 1 })
  @Admins
  @UseGuards(RolesGuard)
  @TimeLimit('1s')
  @Header('x-kept', 'yes')
  @HttpCode(202)
  @Resilient({ bulkhead: {} })
  @Get('between')
  between(): Promise<string> {
    return vault();
  }
}

describe.each(ADAPTERS)('metadata of a guard over %s', (adapter) => {
  it.each(['below', 'above', 'between'])('is lost with decorators %s it', async (path) => {
    const lab = new Lab();
    attempts = 0;
    const application = await serve(
      {
        imports: [ResilienceModule.forRoot({ runtime: lab.runtime })],
        controllers: [Vault],
        providers: [RolesGuard],
      },
      adapter,
    );
    const refused = await request(application).get(`/${path}`).set('x-role', 'guest');
    expect([refused.status, attempts]).toEqual([403, 0]);
    const answer = await throughWaits(
      lab,
      request(application).get(`/${path}`).set('x-role', 'admin'),
    );
    expect([answer.status, answer.text, answer.headers['x-kept']]).toEqual([202, 'gold', 'yes']);
    expect(attempts).toBe(2);
  });
});
