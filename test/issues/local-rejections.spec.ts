import 'reflect-metadata';
import {
  CircuitBreakerRegistry,
  CircuitProtected,
  type PolicyOptions,
  Resilient,
  ResilienceModule,
  isTransientError,
} from 'nestjs-bulwark';
import { Lab, down, play, settled } from '../support/lab.js';
import { closeAll, start } from '../nest/support/applications.js';

afterEach(closeAll);

describe('a rejection that never reached the dependency', () => {
  it.each<[string, PolicyOptions]>([
    ['a full bulkhead', { bulkhead: { maxConcurrent: 1 } }],
    ['a bulkhead with a queue', { bulkhead: { maxConcurrent: 1, maxQueue: 1, queueTimeout: 10 } }],
    ['a rate limit', { rateLimit: { limit: 1, interval: '1h' } }],
    ['a rate limit with a wait', { rateLimit: { limit: 1, interval: '1h', maxWait: 10 } }],
    ['an adaptive limit', { adaptiveLimit: { initialLimit: 1, minLimit: 1, maxLimit: 1 } }],
    ['a breaker inside', { circuitBreaker: 'inner' }],
    ['a retry of such a breaker', { retry: {}, circuitBreaker: 'inner' }],
  ])('by %s opens the circuit around it', async (_by, policy) => {
    class Partner {
      @CircuitProtected('outer')
      @Resilient(policy)
      call(): Promise<string> {
        return new Promise(() => undefined);
      }

      @CircuitProtected('listed')
      @Resilient(policy)
      callToo(): Promise<string> {
        return new Promise(() => undefined);
      }
    }
    const lab = new Lab();
    const application = await start({
      imports: [
        ResilienceModule.forRoot({
          circuitBreakers: {
            outer: { failureThreshold: 1 },
            listed: { failureThreshold: 1, failureExceptions: [Error, isTransientError] },
            inner: { failureThreshold: 1 },
          },
          runtime: lab.runtime,
        }),
      ],
      providers: [Partner],
    });
    const registry = application.get(CircuitBreakerRegistry);
    await play(registry.get('inner'), 'f', lab);
    const partner = application.get(Partner);
    for (let call = 0; call < 4; call++) {
      void settled(partner.call());
      void settled(partner.callToo());
    }
    await lab.clock.advance(1000);
    for (const name of ['outer', 'listed']) {
      const { state, stats } = registry.get(name);
      expect({ name, state, ...stats }).toMatchObject({ state: 'closed', failedCalls: 0 });
      expect(stats.ignoredCalls).toBeGreaterThanOrEqual(2);
    }
  });

  it('is repeated by a retry until its attempts run out', async () => {
    const lab = new Lab();
    class Partner {
      @Resilient({ retry: { maxAttempts: 5 }, circuitBreaker: { failureThreshold: 1 } })
      async call(): Promise<string> {
        throw down;
      }
    }
    const application = await start({
      imports: [ResilienceModule.forRoot({ runtime: lab.runtime })],
      providers: [Partner],
    });
    const call = (): Promise<unknown> => lab.errorOf(application.get(Partner).call());
    expect(await call()).toMatchObject({ code: 'CIRCUIT_OPEN' });
    const [breaker] = application.get(CircuitBreakerRegistry);
    expect(breaker?.stats).toMatchObject({ failedCalls: 1, rejectedCalls: 1 });
  });
});
