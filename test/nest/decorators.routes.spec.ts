import 'reflect-metadata';
import {
  Body,
  type CallHandler,
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  Header,
  HttpCode,
  type INestApplication,
  Injectable,
  type NestInterceptor,
  Param,
  ParseIntPipe,
  Post,
  Query,
  SetMetadata,
  UseGuards,
  UseInterceptors,
  UsePipes,
} from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { EventPattern, MessagePattern } from '@nestjs/microservices';
import { CircuitBreakerRegistry, CircuitProtected, ResilienceModule, Retry } from 'nestjs-bulwark';
import { type Observable, map, of } from 'rxjs';
import { ADAPTERS, closeAll, request, serve } from './support/applications.js';

afterEach(closeAll);

@Injectable()
class RoleGuard implements CanActivate {
  constructor(private readonly reflector: Reflector) {}
  canActivate(context: ExecutionContext): boolean {
    const role = this.reflector.get<string>('role', context.getHandler());
    return (
      context.switchToHttp().getRequest<{ headers: Record<string, string> }>().headers['x-role'] ===
      role
    );
  }
}

@Injectable()
class Wrapped implements NestInterceptor {
  intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
    return next.handle().pipe(map((value: unknown) => ({ wrapped: value })));
  }
}

@Injectable()
class Doubling {
  transform(value: unknown): unknown {
    return typeof value === 'number' ? value * 2 : value;
  }
}

let failures = 0;
function sometimes<T>(value: T): T {
  if (failures-- > 0) throw new Error('down');
  return value;
}

@Controller('above')
class Above {
  @Get('items/:id')
  @HttpCode(202)
  @Header('x-kind', 'item')
  @SetMetadata('role', 'reader')
  @UseGuards(RoleGuard)
  @UseInterceptors(Wrapped)
  @Retry({ baseDelay: 0 })
  @CircuitProtected('items')
  async item(
    @Param('id', ParseIntPipe) id: number,
    @Query('q') query: string | undefined,
  ): Promise<object> {
    return sometimes({ id, query });
  }

  @Post()
  @UsePipes(Doubling)
  @CircuitProtected('items')
  create(@Body('amount') amount: number): object {
    return { amount };
  }

  @Get('stream')
  @CircuitProtected('items')
  stream(): Observable<string> {
    return of('one', 'last');
  }
}

@Controller('below')
class Below {
  @Retry({ baseDelay: 0 })
  @CircuitProtected('items')
  @Get('items/:id')
  @HttpCode(202)
  @Header('x-kind', 'item')
  @SetMetadata('role', 'reader')
  @UseGuards(RoleGuard)
  @UseInterceptors(Wrapped)
  async item(
    @Param('id', ParseIntPipe) id: number,
    @Query('q') query: string | undefined,
  ): Promise<object> {
    return sometimes({ id, query });
  }

  @CircuitProtected('items')
  @Post()
  @UsePipes(Doubling)
  create(@Body('amount') amount: number): object {
    return { amount };
  }

  @CircuitProtected('items')
  @Get('stream')
  stream(): Observable<string> {
    return of('one', 'last');
  }
}

@Controller('between')
@Retry({ baseDelay: 0 })
class Between {
  @HttpCode(202)
  @Header('x-kind', 'item')
  @UseGuards(RoleGuard)
  @CircuitProtected('items')
  @SetMetadata('role', 'reader')
  @Get('items/:id')
  @UseInterceptors(Wrapped)
  async item(
    @Param('id', ParseIntPipe) id: number,
    @Query('q') query: string | undefined,
  ): Promise<object> {
    return sometimes({ id, query });
  }

  @UsePipes(Doubling)
  @CircuitProtected('items')
  @Post()
  async create(@Body('amount') amount: number): Promise<object> {
    return { amount };
  }

  @CircuitProtected('items')
  @Get('stream')
  stream(): Observable<string> {
    return of('one', 'last');
  }
}

describe.each(ADAPTERS)('R42: on %s, with the route', (adapter) => {
  let app: INestApplication;
  beforeEach(async () => {
    failures = 0;
    app = await serve(
      {
        imports: [ResilienceModule.forRoot({ circuitBreakers: { items: {} } })],
        controllers: [Above, Below, Between],
      },
      adapter,
    );
  });
  const stats = (): object => app.get(CircuitBreakerRegistry).get('items').stats;

  describe.each(['above', 'below', 'between'])('%s our decorators', (path) => {
    it('a request passes guard, interceptor, parameters, status and header', async () => {
      failures = 2;
      const response = await request(app)
        .get(`/${path}/items/12?q=red`)
        .set('x-role', 'reader')
        .expect(202, { wrapped: { id: 12, query: 'red' } });
      expect(response.headers).toHaveProperty('x-kind', 'item');
      expect(stats()).toMatchObject({ failedCalls: 2, successfulCalls: 1 });
    });

    it('the guard refuses before any policy', async () => {
      await request(app).get(`/${path}/items/12`).set('x-role', 'other').expect(403);
      expect(stats()).toMatchObject({ totalCalls: 0 });
    });

    it('a pipe refuses before any policy', async () => {
      await request(app).get(`/${path}/items/twelve`).set('x-role', 'reader').expect(400);
      expect(stats()).toMatchObject({ totalCalls: 0 });
    });

    it('a pipe of the method sees the body', async () => {
      await request(app).post(`/${path}`).send({ amount: 21 }).expect(201, { amount: 42 });
    });

    it('an Observable answers with its last item', async () => {
      await request(app).get(`/${path}/stream`).expect(200, 'last');
      expect(stats()).toMatchObject({ successfulCalls: 1 });
    });
  });
});

describe('R42: patterns of microservices', () => {
  class Handlers {
    @MessagePattern('sum')
    @CircuitProtected()
    above(): number {
      return 1;
    }
    @CircuitProtected()
    @MessagePattern('sum')
    below(): number {
      return 1;
    }
    @MessagePattern('sum')
    plain(): number {
      return 1;
    }
    @EventPattern({ cmd: 'created' })
    @Retry()
    async eventAbove(): Promise<void> {
      /* handled */
    }
    @Retry()
    @EventPattern({ cmd: 'created' })
    async eventBelow(): Promise<void> {
      /* handled */
    }
    @EventPattern({ cmd: 'created' })
    async eventPlain(): Promise<void> {
      /* handled */
    }
  }
  const metadataOf = (method: keyof Handlers): Record<string, unknown> =>
    Object.fromEntries(
      Reflect.getMetadataKeys(Handlers.prototype[method]).map((key) => [
        String(key),
        Reflect.getMetadata(key, Handlers.prototype[method]) as unknown,
      ]),
    );

  it.each([
    ['above', 'plain'],
    ['below', 'plain'],
    ['eventAbove', 'eventPlain'],
    ['eventBelow', 'eventPlain'],
  ] as const)('%s has what %s has', (method, plain) => {
    expect(Object.keys(metadataOf(plain)).length).toBeGreaterThan(0);
    expect(metadataOf(method)).toEqual(metadataOf(plain));
  });
});
