import 'reflect-metadata';
import {
  CircuitBreaker,
  CircuitBreakerRegistry,
  type CircuitBreakerOptions,
  KeyedCircuitBreakers,
  ResilienceModule,
  type RetryOptions,
  RetryBudget,
  RetryConfig,
  adaptiveLimit,
  bulkhead,
  clientThrottle,
  fallback,
  hedge,
  rateLimit,
  retry,
  timeLimit,
} from 'nestjs-bulwark';
import { Lab, coded, play } from '../support/lab.js';
import { closeAll, start } from '../nest/support/applications.js';

afterEach(closeAll);

type Options = Record<string, unknown>;
interface Configurable {
  configure(changes: object): void;
}
interface Row {
  readonly policy: string;
  readonly options: () => Options;
  readonly make: (options: never) => { readonly options: object };
  /** What a caller writes into its object later, all of which would be other options. */
  readonly scribble: Options;
}

const rows: Row[] = [
  {
    policy: 'a circuit breaker',
    options: () => ({
      failureThreshold: 3,
      failureExceptions: ['EDOWN'],
      window: { type: 'count', size: 10, minimumCalls: 5 },
      recoveryBackoff: { factor: 2, max: '1m' },
      rampUp: { duration: '10s' },
    }),
    make: (options) => new CircuitBreaker('b', options),
    scribble: { failureThreshold: 1, recoveryTimeout: 1 },
  },
  {
    policy: 'a keyed family',
    options: () => ({ failureThreshold: 3, maxKeys: 5 }),
    make: (options) => new KeyedCircuitBreakers('b', options),
    scribble: { maxKeys: 1, recoveryTimeout: 1 },
  },
  {
    policy: 'a retry',
    options: () => ({ maxAttempts: 2, retryOn: ['EDOWN'], abortOn: [TypeError] }),
    make: (options) => retry(options),
    scribble: { maxAttempts: 9, jitter: 'full' },
  },
  {
    policy: 'a retry configuration',
    options: () => ({ maxAttempts: 2, retryOn: ['EDOWN'] }),
    make: (options) => ({ options: new RetryConfig(options) }),
    scribble: { maxAttempts: 9 },
  },
  {
    policy: 'a time limit',
    options: () => ({ limit: '1s' }),
    make: (options) => timeLimit(options),
    scribble: { limit: 1, mode: 'shadow' },
  },
  {
    policy: 'a bulkhead',
    options: () => ({ maxConcurrent: 2, maxQueue: 1 }),
    make: (options) => bulkhead(options),
    scribble: { maxConcurrent: 9, mode: 'shadow' },
  },
  {
    policy: 'a rate limit',
    options: () => ({ limit: 2, interval: '1s' }),
    make: (options) => rateLimit(options),
    scribble: { limit: 9, burst: 9 },
  },
  {
    policy: 'an adaptive limit',
    options: () => ({ minLimit: 2 }),
    make: (options) => adaptiveLimit(options),
    scribble: { minLimit: 1, maxLimit: 5 },
  },
  {
    policy: 'a client throttle',
    options: () => ({ multiplier: 3, rejectedBy: ['EDOWN'] }),
    make: (options) => clientThrottle(options),
    scribble: { multiplier: 1 },
  },
  {
    policy: 'a hedge',
    options: () => ({ delay: '1s' }),
    make: (options) => hedge(options),
    scribble: { delay: 1, maxHedges: 9 },
  },
  {
    policy: 'a fallback',
    options: () => ({ on: ['EDOWN'] }),
    make: (options) => fallback(() => 'spare', options),
    scribble: { on: TypeError },
  },
  {
    policy: 'a budget',
    options: () => ({ ratio: 0.5 }),
    make: (options) => new RetryBudget(options),
    scribble: { ratio: 1, ttl: '1h' },
  },
];

describe('one object of options for several policies', () => {
  it.each(rows)('of $policy, frozen, is refused', ({ options, make }) => {
    const frozen = deepFreeze(options());
    const [first, second] = [make(frozen as never), make(frozen as never)];
    expect(first.options).toEqual(second.options);
    expect(frozen).toEqual(options());
  });

  it.each(rows)('of $policy is changed by them', ({ options, make }) => {
    const shared = options();
    make(shared as never);
    make(shared as never);
    expect(shared).toEqual(options());
  });

  it.each(rows)('of $policy, changed by its owner, changes them', ({ options, make, scribble }) => {
    const shared = options();
    const policy = make(shared as never);
    const before = structure(policy.options);
    scribbleOn(shared, scribble);
    expect(structure(policy.options)).toEqual(before);
    if ('configure' in policy) (policy as Configurable).configure({});
    expect(structure(policy.options)).toEqual(before);
  });

  it('mixes their states', async () => {
    const lab = new Lab();
    const shared: CircuitBreakerOptions = { failureThreshold: 2, window: { type: 'consecutive' } };
    const [bank, shop] = ['bank', 'shop'].map((name) => new CircuitBreaker(name, shared, lab));
    await play(bank as CircuitBreaker, 'ff', lab);
    (bank as CircuitBreaker).configure({ failureThreshold: 7 });
    expect(shop).toMatchObject({ state: 'closed', options: { failureThreshold: 2 } });
    expect(shop?.stats).toMatchObject({ totalCalls: 0, consecutiveFailures: 0 });
  });

  it('lets a filter grow after the policy was made', async () => {
    const lab = new Lab();
    const codes = ['EDOWN'];
    const options: RetryOptions = { retryOn: codes, baseDelay: 0 };
    const policy = retry(options, lab);
    codes.push('EOTHER');
    policy.configure({ maxAttempts: 2 });
    const other = coded('EOTHER');
    expect(await lab.errorOf(policy.execute(() => Promise.reject(other)))).toBe(other);
  });

  it('for two applications mixes their breakers', async () => {
    const lab = new Lab();
    const circuitBreakers = deepFreeze({ bank: { failureThreshold: 1 } });
    const options = Object.freeze({ circuitBreakers, runtime: lab.runtime });
    const registries: CircuitBreakerRegistry[] = [];
    for (const imports of [
      [ResilienceModule.forRoot(options)],
      [ResilienceModule.forRoot(options)],
    ]) {
      registries.push((await start({ imports })).get(CircuitBreakerRegistry));
    }
    const [first, second] = registries.map((registry) => registry.get('bank'));
    await play(first as CircuitBreaker, 'f', lab);
    expect(first?.state).toBe('open');
    expect(second?.state).toBe('closed');
  });
});

function deepFreeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null) return value;
  for (const each of Object.values(value)) deepFreeze(each);
  return Object.freeze(value);
}

/** A copy to compare with. */
function structure(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return (value as unknown[]).map(structure);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, structure(each)]));
}

/** Good options of a window, a back-off and a ramp, and not those that they were given. */
const NESTED = { size: 7, minimumCalls: 7, factor: 7, max: 7, duration: 7, from: 0.7 };

function scribbleOn(options: Options, scribble: Options): void {
  for (const value of Object.values(options)) {
    if (Array.isArray(value)) (value as unknown[]).push('ESCRIBBLE');
    else if (typeof value === 'object' && value !== null) Object.assign(value, NESTED);
  }
  Object.assign(options, scribble);
}
