import { Inject, Injectable } from '@nestjs/common';
import {
  AdaptiveLimit,
  Bulkhead,
  type CircuitBreaker,
  CircuitBreakerRegistry,
  CircuitProtected,
  ClientThrottle,
  Fallback,
  Hedge,
  InjectCircuitBreaker,
  InjectPolicy,
  type Policy,
  RateLimit,
  Resilient,
  Retry,
  TimeLimit,
  timeLimit,
} from 'nestjs-bulwark';
import { type Observable, defer } from 'rxjs';
import { type Answer, DependencyClient } from './dependency.client.js';
import { policies } from './policies.js';

const limit = timeLimit('100ms');

/** A method for each policy, and for each way of using one. */
@Injectable()
export class DependencyService {
  constructor(
    @Inject(DependencyClient) private readonly dependency: DependencyClient,
    @InjectCircuitBreaker('injected') private readonly breaker: CircuitBreaker,
    @InjectPolicy('everything') private readonly everything: Policy,
    @Inject(CircuitBreakerRegistry) private readonly breakers: CircuitBreakerRegistry,
  ) {}

  @TimeLimit('400ms')
  @Retry('quick')
  @CircuitProtected('charges')
  @TimeLimit('100ms')
  charge(): Promise<Answer> {
    return this.dependency.get('/charge');
  }

  @CircuitProtected('tenants', { key: (tenant: string) => tenant })
  @TimeLimit('100ms')
  tenant(tenant: string): Promise<Answer> {
    return this.dependency.get(`/tenants/${tenant}`);
  }

  @CircuitProtected('crowd', { key: (member: string) => member })
  @TimeLimit('100ms')
  crowd(member: string): Promise<Answer> {
    return this.dependency.get(`/crowd/${member}`);
  }

  @Bulkhead(policies.reports)
  @TimeLimit('150ms')
  report(): Promise<Answer> {
    return this.dependency.get('/report');
  }

  /** The slot outlives the caller: the time limit is outside. */
  @TimeLimit('60ms')
  @Bulkhead(policies.downloads)
  download(): Promise<Answer> {
    return this.dependency.get('/download');
  }

  @TimeLimit('150ms')
  @Hedge(policies.search)
  search(): Promise<Answer> {
    return this.dependency.get('/search');
  }

  @RateLimit(policies.quotes)
  @TimeLimit('100ms')
  quote(): Promise<Answer> {
    return this.dependency.get('/quote');
  }

  @RateLimit(policies.alerts)
  @TimeLimit('100ms')
  alert(): Promise<Answer> {
    return this.dependency.get('/alert');
  }

  @Fallback('knownRates')
  @CircuitProtected('rates')
  @TimeLimit('100ms')
  rates(currency: string): Promise<Answer> {
    return this.dependency.get(`/rates/${currency}`);
  }

  knownRates(_error: unknown, currency: string): Answer {
    return { path: `/rates/${currency}` };
  }

  @AdaptiveLimit(policies.stock)
  @TimeLimit('100ms')
  stock(): Promise<Answer> {
    return this.dependency.get('/stock');
  }

  @ClientThrottle(policies.prices)
  @TimeLimit('100ms')
  price(): Promise<Answer> {
    return this.dependency.get('/price');
  }

  @Retry('quick')
  @CircuitProtected('feed')
  @TimeLimit('100ms')
  feed(): Observable<Answer> {
    return defer(() => this.dependency.get('/feed'));
  }

  @Resilient('everything')
  all(): Promise<Answer> {
    return this.dependency.get('/all');
  }

  /** @param signal aborted when the client has gone */
  injected(signal: AbortSignal): Promise<Answer> {
    return this.breaker.execute(() => this.#limited('/injected'), { signal });
  }

  injectedPolicy(signal: AbortSignal): Promise<Answer> {
    return this.everything.execute(() => this.dependency.get('/injected-policy'), { signal });
  }

  /** Holds a permit itself; nothing when the circuit turns it away. */
  async permit(): Promise<Answer | undefined> {
    const permit = this.breakers.get('permits').tryAcquire();
    if (permit === undefined) return undefined;
    try {
      const answer = await this.#limited('/permit');
      permit.success(answer);
      return answer;
    } catch (error) {
      permit.failure(error);
      throw error;
    }
  }

  #limited(path: string): Promise<Answer> {
    return limit.execute(() => this.dependency.get(path)) as Promise<Answer>;
  }
}
