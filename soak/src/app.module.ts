import {
  Controller,
  type DynamicModule,
  Get,
  Inject,
  Module,
  Param,
  ServiceUnavailableException,
  UseInterceptors,
} from '@nestjs/common';
import { ResilienceInterceptor, ResilienceModule, isTransientError } from 'nestjs-bulwark';
import type { Observable } from 'rxjs';
import { ClientSignal } from './client-signal.js';
import { type Answer, DependencyClient } from './dependency.client.js';
import { DependencyService } from './dependency.service.js';

@Controller()
class DecoratedController {
  constructor(@Inject(DependencyService) private readonly service: DependencyService) {}

  @Get('charge') charge(): Promise<Answer> {
    return this.service.charge();
  }
  @Get('tenants/:tenant') tenant(@Param('tenant') tenant: string): Promise<Answer> {
    return this.service.tenant(tenant);
  }
  @Get('crowd/:member') crowd(@Param('member') member: string): Promise<Answer> {
    return this.service.crowd(member);
  }
  @Get('report') report(): Promise<Answer> {
    return this.service.report();
  }
  @Get('download') download(): Promise<Answer> {
    return this.service.download();
  }
  @Get('search') search(): Promise<Answer> {
    return this.service.search();
  }
  @Get('quote') quote(): Promise<Answer> {
    return this.service.quote();
  }
  @Get('alert') alert(): Promise<Answer> {
    return this.service.alert();
  }
  @Get('rates/:currency') rates(@Param('currency') currency: string): Promise<Answer> {
    return this.service.rates(currency);
  }
  @Get('stock') stock(): Promise<Answer> {
    return this.service.stock();
  }
  @Get('price') price(): Promise<Answer> {
    return this.service.price();
  }
  @Get('feed') feed(): Observable<Answer> {
    return this.service.feed();
  }
  @Get('all') all(): Promise<Answer> {
    return this.service.all();
  }
  @Get('injected') injected(@ClientSignal() signal: AbortSignal): Promise<Answer> {
    return this.service.injected(signal);
  }
  @Get('injected-policy') injectedPolicy(@ClientSignal() signal: AbortSignal): Promise<Answer> {
    return this.service.injectedPolicy(signal);
  }
  @Get('permit') async permit(): Promise<Answer> {
    const answer = await this.service.permit();
    if (answer === undefined) throw new ServiceUnavailableException('No permit');
    return answer;
  }
}

@Controller('intercepted')
@UseInterceptors(ResilienceInterceptor('reads'))
class InterceptedController {
  constructor(@Inject(DependencyClient) private readonly dependency: DependencyClient) {}

  @Get() find(): Promise<Answer> {
    return this.dependency.get('/intercepted');
  }
}

/** Every route, with a parameter where one is wanted. */
export const ROUTES = [
  '/charge',
  '/tenants/:tenant',
  '/crowd/:member',
  '/report',
  '/download',
  '/search',
  '/quote',
  '/alert',
  '/rates/EUR',
  '/stock',
  '/price',
  '/feed',
  '/all',
  '/injected',
  '/injected-policy',
  '/permit',
  '/intercepted',
] as const;

const breaker = { recoveryTimeout: '150ms', failureExceptions: isTransientError } as const;

@Module({})
export class AppModule {
  static register(url: string): DynamicModule {
    return {
      module: AppModule,
      imports: [
        ResilienceModule.forRoot({
          circuitBreakers: {
            charges: { ...breaker, failureThreshold: 5 },
            tenants: { ...breaker, failureThreshold: 3 },
            crowd: { ...breaker, failureThreshold: 1, maxKeys: 10 },
            rates: { ...breaker, window: { type: 'count', size: 20 } },
            feed: { ...breaker, successThreshold: 3, halfOpenMaxCalls: 2 },
            all: { ...breaker, window: { type: 'time', duration: '2s', failureRate: 0.4 } },
            reads: { ...breaker, recoveryBackoff: { factor: 2, max: '600ms' } },
            injected: { ...breaker, rampUp: { duration: '200ms' } },
            permits: breaker,
          },
          budgets: { shared: {} },
          retries: {
            quick: { maxAttempts: 3, baseDelay: '10ms', jitter: 'full', retryOn: isTransientError },
            frugal: { maxAttempts: 3, baseDelay: '10ms', jitter: 'full', budget: 'shared' },
          },
          bulkheads: { all: { maxConcurrent: 4, maxQueue: 4, queueTimeout: '100ms' } },
          rateLimits: { all: { limit: 200, interval: '1s', maxWait: '50ms' } },
          hedges: { all: { delay: 'p90', maxHedges: 1, budget: 'shared' } },
          policies: {
            reads: { retry: 'quick', circuitBreaker: 'reads', attemptTimeLimit: '100ms' },
            everything: {
              timeLimit: '400ms',
              retry: 'frugal',
              hedge: 'all',
              circuitBreaker: 'all',
              rateLimit: 'all',
              bulkhead: 'all',
              attemptTimeLimit: '100ms',
            },
          },
        }),
      ],
      controllers: [DecoratedController, InterceptedController],
      providers: [
        { provide: DependencyClient, useFactory: () => new DependencyClient(url) },
        DependencyService,
      ],
    };
  }
}
