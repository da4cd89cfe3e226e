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
/** An arrow function that calls an asynchronous one: nothing shows it before it is called. */
const later = (): never => Promise.reject(boom) as never;

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
  readonly what: string;
  readonly policy: PolicyOptions;
  readonly results: (string | Error)[];
  readonly outcome: Outcome<string>;
}
const breaker = { failureThreshold: 1 };
const rows = (wrong: () => never): Row[] => [
  {
    what: 'a state listener',
    policy: { circuitBreaker: { ...breaker, onStateChange: wrong } },
    results: [down],
    outcome: { error: down },
  },
  {
    what: 'a filter of a breaker',
    policy: { circuitBreaker: { ...breaker, failureExceptions: wrong } },
    results: [down],
    outcome: { error: down },
  },
  {
    what: 'a filter of what a breaker ignores',
    policy: { circuitBreaker: { ...breaker, ignoreExceptions: wrong } },
    results: [down],
    outcome: { error: down },
  },
  {
    what: 'a predicate of a breaker',
    policy: { circuitBreaker: { ...breaker, isFailure: wrong } },
    results: ['poor'],
    outcome: { value: 'poor' },
  },
  {
    what: 'a recovery time',
    policy: { circuitBreaker: { ...breaker, recoveryTimeout: wrong } },
    results: [down],
    outcome: { error: down },
  },
  {
    what: 'a filter of a retry',
    policy: { retry: { retryOn: wrong } },
    results: [down],
    outcome: { error: down },
  },
  {
    what: 'a predicate of a retry',
    policy: { retry: { retryOnResult: wrong } },
    results: ['poor'],
    outcome: { value: 'poor' },
  },
  {
    what: 'a back-off',
    policy: { retry: { backoff: wrong } },
    results: [down],
    outcome: { error: down },
  },
  {
    what: 'onRetry',
    policy: { retry: { onRetry: wrong } },
    results: [down, 'found'],
    outcome: { value: 'found' },
  },
  {
    what: 'a filter of a fallback',
    policy: { fallback: { handler: () => 'spare', on: wrong } },
    results: [down],
    outcome: { error: down },
  },
  {
    what: 'a fallback',
    policy: { fallback: wrong, retry: { maxAttempts: 1 } },
    results: [down],
    outcome: { error: boom },
  },
];

describe.each([
  ['throwing', explode],
  ['giving a promise that rejects', later],
])('changes an outcome, or leaves something behind, by %s:', (_how, wrong) => {
  it.each(rows(wrong))('$what', async ({ policy, results, outcome }) => {
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
