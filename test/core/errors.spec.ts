import { inspect } from 'node:util';
import {
  AbortError,
  BulkheadRejectedError,
  CircuitBreakerError,
  CircuitState,
  RateLimitedError,
  RejectedError,
  ResilienceConfigError,
  ResilienceError,
  RetryExhaustedError,
  ThrottledError,
  TimeoutError,
  isResilienceError,
} from 'nestjs-bulwark/core';
import { isOwnAbort, isRejection } from '../../lib/core/errors.js';
import { thrownBy } from '../support/lab.js';
import { withoutStack } from '../../lib/core/without-stack.js';

const down = new Error('down');
const hostile = new Proxy(
  {},
  {
    get(): never {
      throw new Error('hostile');
    },
    getPrototypeOf(): never {
      throw new Error('hostile');
    },
  },
);

const every: [string, string, ResilienceError, object, boolean][] = [
  [
    'CircuitBreakerError',
    'CIRCUIT_OPEN',
    new CircuitBreakerError('payments', { state: CircuitState.OPEN, remainingTimeout: 1500.4 }),
    { breakerName: 'payments', state: 'open', remainingTimeout: 1500.4, retryAfter: 1500.4 },
    true,
  ],
  [
    'RetryExhaustedError',
    'RETRY_EXHAUSTED',
    new RetryExhaustedError({ attempts: 3, lastException: down, reason: 'budget' }),
    { attempts: 3, lastException: down, cause: down, reason: 'budget' },
    false,
  ],
  ['TimeoutError', 'TIMEOUT', new TimeoutError(250), { timeout: 250 }, false],
  [
    'BulkheadRejectedError',
    'BULKHEAD_FULL',
    new BulkheadRejectedError('db'),
    { bulkheadName: 'db' },
    true,
  ],
  [
    'RateLimitedError',
    'RATE_LIMITED',
    new RateLimitedError('api', { retryAfter: 40 }),
    { limiterName: 'api', retryAfter: 40 },
    true,
  ],
  ['ThrottledError', 'THROTTLED', new ThrottledError('api'), { throttleName: 'api' }, true],
  [
    'ResilienceConfigError',
    'INVALID_CONFIG',
    new ResilienceConfigError(['a is bad', 'b is worse']),
    { issues: ['a is bad', 'b is worse'] },
    false,
  ],
];

describe.each(every)('%s', (name, code, error, fields, rejected) => {
  it('has its code, its name and its fields', () => {
    expect(error).toMatchObject({ name, code, ...fields });
    expect(error.constructor.name).toBe(name);
    expect(String(error)).toMatch(new RegExp(`^${name}: `));
  });

  it('is one of ours, by class and by brand', () => {
    expect(error).toBeInstanceOf(ResilienceError);
    expect(error).toBeInstanceOf(Error);
    expect(error instanceof RejectedError).toBe(rejected);
    expect(isRejection(error)).toBe(rejected);
    expect(isResilienceError(error)).toBe(true);
    for (const [, other] of every) {
      expect(isResilienceError(error, other as 'TIMEOUT')).toBe(other === code);
    }
  });

  it('is known by another installed copy of the library, and by a subclass', () => {
    const brand = Symbol.for('nestjs-bulwark:error');
    expect((error as unknown as Record<symbol, unknown>)[brand]).toBe(code);
    expect(isResilienceError(Object.create(error) as object, code as 'TIMEOUT')).toBe(true);
  });

  it('shows its code where it is logged or copied, as errors of Node do', () => {
    expect(JSON.parse(JSON.stringify(error))).toMatchObject({ code });
    expect(Object.assign({}, error)).toMatchObject({ code });
    expect(inspect(error)).toContain(`code: '${code}'`);
  });

  it('shows neither its name nor what it was caused by a second time', () => {
    expect(Object.keys(error)).not.toContain('name');
    expect(Object.keys(error)).not.toContain('lastException');
  });
});

it('an error of a class of the user’s own has the code that its class gives it, or none', () => {
  class Own extends ResilienceError {}
  expect(Object.keys(new Own('no'))).toEqual([]);
});

describe('messages', () => {
  it.each<[() => Error, string]>([
    [() => new CircuitBreakerError('a'), 'Circuit breaker "a" is open'],
    [
      () => new CircuitBreakerError('a', { remainingTimeout: 1500.4 }),
      'Circuit breaker "a" is open; try again in 1501 ms',
    ],
    [
      () => new CircuitBreakerError('a', { state: 'half_open' }),
      'Circuit breaker "a" is half_open',
    ],
    [
      () => new CircuitBreakerError('a', { state: 'closed', remainingTimeout: 5 }),
      'Circuit breaker "a" is closed and ramping up',
    ],
    [
      () => new BulkheadRejectedError('two\nlines\u2028'),
      'Bulkhead "two\\u000alines\\u2028" is full',
    ],
    [
      () => new RetryExhaustedError({ attempts: 1, lastException: down }),
      'Gave up after 1 attempt (attempts)',
    ],
    [
      () => new RetryExhaustedError({ attempts: 2, lastException: down, reason: 'deadline' }),
      'Gave up after 2 attempts (deadline)',
    ],
    [() => new TimeoutError(250), 'Timed out after 250 ms'],
    [() => new BulkheadRejectedError('db'), 'Bulkhead "db" is full'],
    [
      () => new RateLimitedError('api', { retryAfter: 0.2 }),
      'Rate limit "api" reached; try again in 1 ms',
    ],
    [
      () => new ThrottledError('api'),
      'Client throttle "api" holds calls back: too few are accepted',
    ],
    [
      () => new ResilienceConfigError(['a is bad', 'b is worse']),
      'Invalid resilience configuration:\n  - a is bad\n  - b is worse',
    ],
  ])('%s says: %s', (make, message) => {
    expect(make().message).toBe(message);
  });

  it('a breaker error without a known time has none', () => {
    const error = new CircuitBreakerError('a', { state: 'isolated', remainingTimeout: undefined });
    expect(error).not.toHaveProperty('remainingTimeout');
    expect(error.retryAfter).toBeUndefined();
  });

  it('an exhausted retry says "attempts" where nothing else is said, and keeps what is no error', () => {
    const error = new RetryExhaustedError({ attempts: 3, lastException: undefined });
    expect(error).toMatchObject({ reason: 'attempts', lastException: undefined });
    expect(error).toHaveProperty('cause', undefined);
  });
});

describe('an abort of ours', () => {
  it.each<[string, unknown, boolean]>([
    ['is one', new AbortError('left'), true],
    ['of another copy is one', { [Symbol.for('nestjs-bulwark:abort')]: true }, true],
    ["is not the platform's", new DOMException('left', 'AbortError'), false],
    ['is no error of ours', new TimeoutError(1), false],
    ['is not nothing', undefined, false],
    ['is not null', null, false],
    ['is not what cannot be read', hostile, false],
  ])('%s', (_what, error, expected) => {
    expect(isOwnAbort(error)).toBe(expected);
  });
});

describe('isResilienceError', () => {
  it.each([undefined, null, 5, 'TIMEOUT', Symbol('x'), {}, down, { code: 'TIMEOUT' }, () => 1])(
    'is false for %p',
    (value) => {
      expect(isResilienceError(value)).toBe(false);
      expect(isRejection(value)).toBe(false);
      expect(value instanceof ResilienceError).toBe(false);
    },
  );

  it('is true for an error of another copy, which is a ResilienceError here too', () => {
    const brand = Symbol.for('nestjs-bulwark:error');
    const foreign = Object.assign(new Error('late'), { [brand]: 'TIMEOUT' });
    expect(isResilienceError(foreign, 'TIMEOUT')).toBe(true);
    expect(foreign instanceof ResilienceError).toBe(true);
    expect(foreign instanceof TimeoutError).toBe(false);
  });

  it('is false for a hostile object, and throws nothing', () => {
    expect(isResilienceError(hostile)).toBe(false);
    expect(isRejection(hostile)).toBe(false);
  });
});

describe('withoutStack', () => {
  it('makes an error without a stack trace and puts the limit back, also when it throws', () => {
    const limit = Error.stackTraceLimit;
    expect(withoutStack(() => new Error('quick')).stack).toBe('Error: quick');
    const thrown = thrownBy(() =>
      withoutStack(() => {
        throw down;
      }),
    );
    expect(thrown).toBe(down);
    expect(Error.stackTraceLimit).toBe(limit);
  });
});

describe('CircuitState', () => {
  it('has five frozen states', () => {
    expect(CircuitState).toEqual({
      CLOSED: 'closed',
      OPEN: 'open',
      HALF_OPEN: 'half_open',
      ISOLATED: 'isolated',
      DISABLED: 'disabled',
    });
    expect(Object.isFrozen(CircuitState)).toBe(true);
  });
});
