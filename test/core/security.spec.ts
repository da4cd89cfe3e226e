import { jest } from '@jest/globals';
import {
  BulkheadRejectedError,
  type CircuitBreakerOptions,
  CircuitBreaker,
  KeyedCircuitBreakers,
  type Policy,
  type ResilienceConfigError,
  type RuntimeOptions,
  adaptiveLimit,
  bulkhead,
  clientThrottle,
  fallback,
  hedge,
  isResilienceError,
  isTransientError,
  pipeline,
  rateLimit,
  retry,
  retryAfterOf,
  retrySync,
  timeLimit,
} from 'nestjs-bulwark/core';
import { Lab, play, settled, thrownBy } from '../support/lab.js';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});

const trap = (): never => {
  throw new Error('a trap');
};

/** Whatever is asked of it, it throws. */
function trapped(target: object): object {
  return new Proxy(target, new Proxy({}, { get: () => trap }));
}

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable(new Error('gone'), {});
  revoke();
  return proxy;
}

/** An error each of whose properties throws when it is read. */
function mined(): Error {
  const error = new Error('mined');
  const names = ['stack', 'name', 'message', 'code', 'cause', 'status', 'statusCode', 'response'];
  for (const name of [...names, 'getStatus', 'headers', 'retryAfter', 'constructor', 'then']) {
    Object.defineProperty(error, name, { get: trap, configurable: true });
  }
  Object.defineProperty(error, Symbol.for('nestjs-bulwark:error'), { get: trap });
  return error;
}

function cyclic(): Error {
  const first = new Error('first');
  first.cause = new Error('second', { cause: first });
  return first;
}

function deep(): Error {
  let error = new Error('deepest');
  for (let depth = 0; depth < 20_000; depth++) error = new Error('outer', { cause: error });
  return error;
}

const hostile: [string, () => unknown][] = [
  ['an error whose every property throws', mined],
  ['a proxy whose every trap throws', () => trapped(new Error('trapped'))],
  ['a proxy of a function whose every trap throws', () => trapped(() => undefined)],
  ['a revoked proxy', revoked],
  ['an error that is its own cause, by way of another', cyclic],
  ['an error with 20,000 causes', deep],
  ['a frozen error', () => Object.freeze(new Error('frozen'))],
  ['an object without a prototype', () => Object.create(null) as object],
  ['undefined', () => undefined],
  ['null', () => null],
  ['nothing but a symbol', () => Symbol('symbol')],
  ['a bigint', () => 10n],
  ['an empty string', () => ''],
  ['NaN', () => NaN],
  ['a function', () => trap],
  [
    'an error that claims to be transient, with nonsense in every field',
    () =>
      Object.assign(new Error('x'.repeat(1e6)), {
        code: 'ECONNRESET',
        name: 'y'.repeat(1e6),
        status: { toString: trap, valueOf: trap },
        response: { headers: { 'retry-after': { toString: trap } }, status: [503] },
        getStatus: trap,
        retryAfter: { valueOf: trap },
      }),
  ],
];

type Make = (runtime: RuntimeOptions) => Policy;
const filters = [TypeError, 'EPIPE', isTransientError];
const policies: [string, Make][] = [
  ['a retry', (runtime) => retry({ maxAttempts: 2 }, { runtime })],
  ['a retry with filters', (runtime) => retry({ retryOn: filters, abortOn: filters }, { runtime })],
  ['a circuit breaker', (runtime) => new CircuitBreaker('b', {}, { runtime })],
  ['a keyed breaker', (runtime) => new KeyedCircuitBreakers('k', {}, { runtime })],
  ['a time limit', (runtime) => timeLimit('1s', { runtime })],
  ['a bulkhead', (runtime) => bulkhead({ maxQueue: 1 }, { runtime })],
  ['a rate limit', (runtime) => rateLimit({ limit: 9, interval: 1, maxWait: 9 }, { runtime })],
  ['an adaptive limit', (runtime) => adaptiveLimit({}, { runtime })],
  ['a client throttle', (runtime) => clientThrottle({}, { runtime })],
  [
    'a client throttle with a filter',
    (runtime) => clientThrottle({ rejectedBy: filters }, { runtime }),
  ],
  ['a hedge', (runtime) => hedge({ delay: 'p95' }, { runtime })],
  [
    'a fallback with a filter',
    (runtime) => fallback(() => 'spare', { on: [TypeError, 'EPIPE'] }, { runtime }),
  ],
  ['all of them', (runtime) => pipeline(...policies.slice(0, -2).map(([, make]) => make(runtime)))],
];

describe('a hostile error', () => {
  describe.each(hostile)('that is %s', (_title, make) => {
    it.each(policies)('passes %s as it is and leaves nothing behind', async (_policy, policyOf) => {
      const error = make();
      const policy = policyOf(lab.runtime);
      const outcome = await lab.outcomeOf(policy.execute(() => rejectWith(error)));
      expect('error' in outcome && Object.is(rootOf(outcome.error), error)).toBe(true);
      expect(inFlight(policy)).toBe(0);
    });

    it('thrown at once passes a synchronous retry and breaker', () => {
      const error = make();
      const { runtime } = lab;
      const throwing = (): never => {
        throw error;
      };
      const breaker = new CircuitBreaker('b', { failureThreshold: 9 }, { runtime });
      const outcome = thrownBy(
        retrySync({ retryOn: filters }, { runtime })((): unknown => breaker.executeSync(throwing)),
      );
      expect(Object.is(rootOf(outcome), error)).toBe(true);
      expect(breaker.stats.inFlight).toBe(0);
    });

    it('does not hang or change a fallback that fails, whichever of the two it is', async () => {
      const error = make();
      for (const [first, second] of [
        [error, new Error('fallback')],
        [new Error('work'), error],
      ]) {
        const policy = fallback(() => rejectWith(second), {}, { runtime: lab.runtime });
        const outcome = await lab.outcomeOf(policy.execute(() => rejectWith(first)));
        expect('error' in outcome && Object.is(outcome.error, second)).toBe(true);
      }
    });

    it('that a callback throws is logged, or lost, and changes nothing', async () => {
      const silenced = jest.spyOn(console, 'error').mockImplementation(readAll);
      const error = make();
      const throwing = (): never => {
        throw error;
      };
      const down = new Error('down');
      const breaker = new CircuitBreaker('b', {
        failureExceptions: throwing,
        onStateChange: throwing,
      });
      const policy = pipeline(retry({ retryOn: throwing }), breaker);
      const outcome = await settled(policy.execute(() => rejectWith(down)));
      silenced.mockRestore();
      expect(outcome).toEqual({ error: down });
      expect(breaker.stats).toMatchObject({ failedCalls: 1, inFlight: 0 });
    });
  });
});

/** What the console does with an error: reads it. */
function readAll(...shown: unknown[]): void {
  for (const each of shown) String((each as Error | undefined)?.stack);
}

/** The error under what a retry adds. */
function rootOf(error: unknown): unknown {
  return isResilienceError(error, 'RETRY_EXHAUSTED') ? error.lastException : error;
}

async function rejectWith(error: unknown): Promise<never> {
  throw error;
}

function inFlight(policy: Policy): number {
  return policy
    .parts()
    .map((part) => part.snapshot() as { stats?: { inFlight: number }; inUse?: number })
    .reduce((sum, { stats, inUse = 0 }) => sum + inUse + (stats?.inFlight ?? 0), 0);
}

describe('many distinct keys', () => {
  // `npm run check:memory` measures that no memory is kept of them.
  it.each<[string, CircuitBreakerOptions, 'success' | 'failure' | undefined]>([
    ['that succeed', {}, 'success'],
    ['that trip at once', { failureThreshold: 1 }, 'failure'],
    ['that hang', {}, undefined],
  ])('%s keep no more than maxKeys breakers', (_end, options, end) => {
    const keys = 10_000;
    const family = new KeyedCircuitBreakers('tenants', options, { runtime: lab.runtime });
    for (let key = 0; key < keys; key++) {
      const permit = family.for(`tenant-${String(key)}`).tryAcquire();
      if (end === 'success') permit?.success();
      if (end === 'failure') permit?.failure('down');
    }
    expect(family.summary()).toMatchObject({ keys: 1000, evicted: keys - 1000 });
  });

  it('of a megabyte each are kept by their digests, and stay apart', async () => {
    const family = new KeyedCircuitBreakers('k', { failureThreshold: 1 }, { runtime: lab.runtime });
    const [one, other] = ['1', '2'].map((end) => 'x'.repeat(1e6) + end) as [string, string];
    await play(family.for(one), 'f', lab);
    expect([family.for(one).state, family.for(other).state]).toEqual(['open', 'closed']);
    expect(family.for(one).name.length).toBeLessThan(200);
  });
});

describe('options from outside', () => {
  const POISON = '{"__proto__":{"polluted":true},"constructor":{"prototype":{"polluted":true}}}';
  type Make = (options: never) => unknown;
  it.each<[string, Make]>([
    ['a circuit breaker', (options) => new CircuitBreaker('b', options)],
    ['a keyed family', (options) => new KeyedCircuitBreakers('b', options)],
    ['a window', (window) => new CircuitBreaker('b', { window })],
    ['a recovery back-off', (recoveryBackoff) => new CircuitBreaker('b', { recoveryBackoff })],
    ['a retry', (options) => retry(options)],
    ['a synchronous retry', (options) => retrySync(options)],
    ['a time limit', (options) => timeLimit(options)],
    ['a bulkhead', (options) => bulkhead(options)],
    ['a rate limit', (options) => rateLimit(options)],
    ['an adaptive limit', (options) => adaptiveLimit(options)],
    ['a client throttle', (options) => clientThrottle(options)],
    ['a hedge', (options) => hedge(options)],
    ['a fallback', (options) => fallback(() => 'spare', options)],
    ['a live change of a breaker', (options) => new CircuitBreaker().configure(options)],
    ['a live change of a retry', (options) => retry().configure(options)],
    ['a live change of a bulkhead', (options) => bulkhead().configure(options)],
    ['a live change of a time limit', (options) => timeLimit('1s').configure(options)],
  ])('pollute no prototype by way of %s, and are refused', (_policy, make) => {
    const error = thrownBy(() => make(JSON.parse(POISON) as never));
    expect(error).toMatchObject({ code: 'INVALID_CONFIG' });
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it('are not taken from a prototype that somebody else has polluted', () => {
    Object.assign(Object.prototype, { failureThreshold: 1, maxAttempts: 99, maxConcurrent: 0 });
    try {
      expect(new CircuitBreaker('b', {}).options.failureThreshold).toBe(5);
      expect(retry({}).options.maxAttempts).toBe(3);
      expect(bulkhead({}).options.maxConcurrent).toBe(10);
    } finally {
      for (const key of ['failureThreshold', 'maxAttempts', 'maxConcurrent']) {
        Reflect.deleteProperty(Object.prototype, key);
      }
    }
  });
});

describe('a message', () => {
  const FORGED = 'x\n[Nest] ERROR all is lost\r\u001b[2K\u2028';
  // eslint-disable-next-line no-control-regex -- those are what must not be there
  const BREAKS = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;

  it.each<[string, () => Promise<unknown>]>([
    ['an open breaker', () => rejectionOf(new CircuitBreaker(FORGED, { failureThreshold: 1 }))],
    [
      'a keyed breaker',
      () => rejectionOf(new KeyedCircuitBreakers('k', { failureThreshold: 1 }).for(FORGED)),
    ],
    ['a full bulkhead', () => rejectionOf(bulkhead({ maxConcurrent: 1 }, { name: FORGED }))],
    ['a rate limit', () => rejectionOf(rateLimit({ limit: 1, interval: 1e6 }, { name: FORGED }))],
    ['a client throttle', () => rejectionOf(throttled())],
  ])('of %s is one line, whatever its name or key', async (_policy, reject) => {
    const { message } = (await reject()) as Error;
    expect(message).not.toMatch(BREAKS);
    expect(message).toContain('all is lost');
  });

  it('in the log is one line, whatever key a listener is told of', async () => {
    const family = new KeyedCircuitBreakers(
      'k',
      { failureThreshold: 1, onStateChange: trap },
      { runtime: lab.runtime },
    );
    await rejectionOf(family.for(FORGED));
    expect(lab.logger.errors.map(({ message }) => message)).toEqual([
      expect.not.stringMatching(BREAKS),
    ]);
  });

  it('can be made without a name, as plain JavaScript may', () => {
    expect(new BulkheadRejectedError(undefined as never).message).toBe(
      'Bulkhead "undefined" is full',
    );
  });

  it('about bad options is a line for each, whatever its keys and values', () => {
    const options = { [FORGED]: FORGED, maxAttempts: FORGED };
    const { issues } = thrownBy(() => retry(options as never)) as ResilienceConfigError;
    expect(issues).toHaveLength(2);
    for (const issue of issues) expect(issue).not.toMatch(BREAKS);
  });

  function throttled(): Policy {
    const always = { multiplier: 1, minimumCalls: 1, rejectedBy: Error };
    return clientThrottle(always, { name: FORGED, runtime: { ...lab.runtime, random: () => 0 } });
  }

  /** What the policy says when it turns a call away. */
  async function rejectionOf(policy: Policy): Promise<unknown> {
    void settled(policy.execute(() => rejectWith(new Error('down'))));
    await lab.clock.advance(0);
    void settled(policy.execute(() => new Promise(() => undefined)));
    const outcome = await settled(policy.execute(() => 'through'));
    return 'error' in outcome ? outcome.error : undefined;
  }
});

describe('a Retry-After header of a dependency', () => {
  const MEGABYTE = 1_000_000;
  it.each([
    ['digits', '9'.repeat(MEGABYTE)],
    ['spaces', ' '.repeat(MEGABYTE)],
    ['spaces around a number', `1${' '.repeat(MEGABYTE)}x`],
    ['digits and dots', '1.'.repeat(MEGABYTE / 2)],
    ['a fraction without end', `1.${'1'.repeat(MEGABYTE)}x`],
    ['letters', 'Wed'.repeat(MEGABYTE / 3)],
    ['parentheses, as in a date with comments', `Wed ${'('.repeat(MEGABYTE)}`],
    ['a negative number', '-1'],
    ['an exponent', '1e9'],
    ['a hexadecimal number', '0x10'],
    ['Infinity', 'Infinity'],
    ['a date that is none', 'Wed, 99 Zzz 9999 99:99:99 GMT'],
    ['control characters', '\u0000\n1'],
  ])('of %s asks for nothing, and is read in no time', (_kind, header) => {
    const began = performance.now();
    expect(retryAfterOf({ headers: { 'Retry-After': header } }, lab.clock)).toBeUndefined();
    // On a busy machine; what looks at a megabyte again for each of its characters takes minutes.
    expect(performance.now() - began).toBeLessThan(3000);
  });

  it.each([
    ['the greatest number', '999999999'],
    ['a date in the year 9999', 'Fri, 31 Dec 9999 23:59:59 GMT'],
  ])('of %s makes no wait longer than maxDelay', async (_kind, header) => {
    const policy = retry({ maxAttempts: 2, maxDelay: '5s' }, { runtime: lab.runtime });
    const error = Object.assign(new Error('busy'), { headers: { 'retry-after': header } });
    await lab.errorOf(policy.execute(() => rejectWith(error)));
    expect(policy.snapshot().waited).toBe(5000);
  });

  it('keeps no circuit open for longer than timers count', async () => {
    const breaker = new CircuitBreaker(
      'b',
      { failureThreshold: 1, recoveryTimeout: (error) => retryAfterOf(error) },
      { runtime: lab.runtime },
    );
    const error = Object.assign(new Error('busy'), { headers: { 'retry-after': '999999999' } });
    await lab.errorOf(breaker.execute(() => rejectWith(error)));
    expect(breaker.remainingTimeout).toBe(2 ** 31 - 1);
  });
});
