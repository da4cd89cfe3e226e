import 'reflect-metadata';
import {
  CircuitBreakerRegistry,
  OnResilienceEvent,
  type PolicyOptions,
  Resilient,
  ResilienceModule,
} from 'nestjs-bulwark';
import { type Outcome, Lab, down } from '../support/lab.js';
import { closeAll, start } from '../nest/support/applications.js';

afterEach(closeAll);

const boom = new Error('boom');
const explode = (): never => {
  throw boom;
};

class Search {
  @Resilient('search')
  async find(results: (string | Error)[]): Promise<string> {
    const result = results.shift() ?? 'found';
    if (result instanceof Error) throw result;
    return result;
  }
}

class Listener {
  @OnResilienceEvent('*')
  hear(): void {
    explode();
  }
}

interface Row {
  readonly wrong: string;
  readonly policy: PolicyOptions;
  readonly results: (string | Error)[];
  readonly outcome: Outcome<string>;
}
const breaker = { failureThreshold: 1 };
const rows: Row[] = [
  {
    wrong: 'a state listener',
    policy: { circuitBreaker: { ...breaker, onStateChange: explode } },
    results: [down],
    outcome: { error: down },
  },
  {
    wrong: 'a filter of a breaker',
    policy: { circuitBreaker: { ...breaker, failureExceptions: explode } },
    results: [down],
    outcome: { error: down },
  },
  {
    wrong: 'a filter of what a breaker ignores',
    policy: { circuitBreaker: { ...breaker, ignoreExceptions: explode } },
    results: [down],
    outcome: { error: down },
  },
  {
    wrong: 'a predicate of a breaker',
    policy: { circuitBreaker: { ...breaker, isFailure: explode } },
    results: ['poor'],
    outcome: { value: 'poor' },
  },
  {
    wrong: 'a recovery time',
    policy: { circuitBreaker: { ...breaker, recoveryTimeout: explode } },
    results: [down],
    outcome: { error: down },
  },
  {
    wrong: 'a filter of a retry',
    policy: { retry: { retryOn: explode } },
    results: [down],
    outcome: { error: down },
  },
  {
    wrong: 'a predicate of a retry',
    policy: { retry: { retryOnResult: explode } },
    results: ['poor'],
    outcome: { value: 'poor' },
  },
  {
    wrong: 'a back-off',
    policy: { retry: { backoff: explode } },
    results: [down],
    outcome: { error: down },
  },
  {
    wrong: 'onRetry',
    policy: { retry: { onRetry: explode } },
    results: [down, 'found'],
    outcome: { value: 'found' },
  },
  {
    wrong: 'a filter of a fallback',
    policy: { fallback: { handler: () => 'spare', on: explode } },
    results: [down],
    outcome: { error: down },
  },
  {
    wrong: 'a fallback',
    policy: { fallback: explode, retry: { maxAttempts: 1 } },
    results: [down],
    outcome: { error: boom },
  },
];

describe('changes an outcome, or leaves something behind, by throwing:', () => {
  it.each(rows)('$wrong', async ({ policy, results, outcome }) => {
    const lab = new Lab();
    const application = await start({
      imports: [ResilienceModule.forRoot({ policies: { search: policy }, runtime: lab.runtime })],
      providers: [Search, Listener],
    });
    const search = application.get(Search);
    expect(await lab.outcomeOf(search.find([...results]))).toEqual(outcome);
    for (const { stats, state } of application.get(CircuitBreakerRegistry)) {
      expect({ state, ...stats }).toMatchObject({ state: 'open', inFlight: 0, failedCalls: 1 });
    }
    expect(lab.clock.pendingTimers).toBe(0);
  });
});
