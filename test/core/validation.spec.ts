import {
  CircuitBreaker,
  KeyedCircuitBreakers,
  ResilienceConfigError,
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
  withRetry,
} from 'nestjs-bulwark/core';
import {
  Issues,
  type Rule,
  type Schema,
  boolean,
  callback,
  duration,
  either,
  integer,
  nested,
  number,
  oneOf,
  predicate,
  readOptions,
  requireOptions,
  required,
  returning,
  show,
  suggest,
  text,
} from '../../lib/core/validation.js';
import { thrownBy } from '../support/lab.js';

const boom = new Error('hostile');
const throws = (): never => {
  throw boom;
};

describe('rules', () => {
  it.each<[string, Rule<unknown>, unknown[], unknown[]]>([
    [
      'integer(1)',
      integer(1),
      [1, 2, 2 ** 53 - 1],
      [0, -1, 1.5, NaN, Infinity, '1', 2 ** 53, 1n, null],
    ],
    ['integer(1, 3)', integer(1, 3), [1, 3], [0, 4]],
    ['number({ min: 0, max: 1 })', number({ min: 0, max: 1 }), [0, 0.5, 1], [-0.1, 1.1, NaN, '0']],
    ['number({ above: 0 })', number({ above: 0 }), [0.001, 5], [0, -1, Infinity]],
    ['boolean()', boolean(), [true, false], [0, 1, 'true', null, {}]],
    ['text()', text(), ['a', ' a '], ['', ' \n', 5, null, ['a']]],
    [
      'callback()',
      callback(),
      [
        () => 1,
        class A {
          a = 1;
        },
        async () => 1,
      ],
      ['x', {}, null],
    ],
    ['predicate()', predicate(), [() => true, (x: unknown) => !x], [async () => true, 'x', null]],
    ["oneOf('a', 'b')", oneOf('a', 'b'), ['a', 'b'], ['c', 'A', 0, ['a'], '__proto__']],
    ['either(integer(5), boolean())', either(integer(5), boolean()), [5, true], [4, 'true']],
  ])('%s', (_name, rule, good, bad) => {
    for (const value of good) expect(rule(value)).toEqual({ value });
    for (const value of bad) expect(rule(value)).toHaveProperty('problem');
  });

  it('duration() reads milliseconds, up to what a timer can hold', () => {
    const rule = duration();
    expect(rule('2s')).toEqual({ value: 2000 });
    expect(rule(2 ** 31 - 1)).toEqual({ value: 2 ** 31 - 1 });
    for (const bad of [-1, '-1s', 2 ** 31, '25d', 'x', NaN, null]) {
      expect(rule(bad)).toHaveProperty('problem');
    }
    expect(duration(10)(10)).toEqual({ value: 10 });
  });

  it.each<[() => Rule<unknown>, unknown, string]>([
    [() => integer(1), 0, 'must be a whole number of at least 1'],
    [() => integer(1, 3), 0, 'must be a whole number of at least 1 and at most 3'],
    [() => number({ above: 0, max: 1 }), 0, 'must be a number above 0 and at most 1'],
    [() => number({ min: 2 }), 0, 'must be a number of at least 2'],
    [
      () => duration(),
      -1,
      'must be a duration (milliseconds or a string such as "30s"), not negative and at most 2147483647 ms',
    ],
    [
      () => duration(10),
      9,
      'must be a duration (milliseconds or a string such as "30s"), at least 10 ms and at most 2147483647 ms',
    ],
    [() => boolean(), 5, 'must be true or false'],
    [() => text(), '', 'must be a non-empty string'],
    [() => callback(), 5, 'must be a function'],
    [() => returning('a duration'), 5, 'must be a function that returns a duration (not async)'],
    [() => predicate(), 5, 'must be a function that returns true or false (not async)'],
    [
      () => oneOf('linear', 'constant'),
      'liner',
      'must be one of "linear", "constant" – did you mean "linear"?',
    ],
    [() => oneOf('linear', 'constant'), 'xyz', 'must be one of "linear", "constant"'],
    [() => oneOf('linear', 'constant'), 5, 'must be one of "linear", "constant"'],
    [() => either(boolean(), text()), 5, 'must be true or false, or be a non-empty string'],
    [
      () => either(nested({ a: required(integer(1)), b: required(boolean()) }), text()),
      {},
      '.a must be a whole number of at least 1, got undefined; .b must be true or false, got undefined, or be a non-empty string',
    ],
    [
      () => either(text(), nested({ a: required(boolean()) })),
      {},
      'must be a non-empty string, or .a must be true or false, got undefined',
    ],
    [
      () => either(nested({}), text()),
      5,
      'must be an object of options, got 5, or be a non-empty string',
    ],
    [
      () => either(text(), either(boolean(), integer(1))),
      0,
      'must be a non-empty string, or be true or false, or be a whole number of at least 1',
    ],
  ])('say what they want', (make, value, problem) => {
    expect(make()(value)).toEqual({ problem });
  });

  it('check options together only where each of them is well', () => {
    const check = (_options: object, issues: Issues): unknown =>
      issues.list.push('.a and .b clash');
    const rule = nested({ a: required(boolean()) }, check);
    expect(rule({ a: 5 })).toEqual({ problems: ['.a must be true or false, got 5'] });
    expect(rule({ a: true })).toEqual({ problems: ['.a and .b clash'] });
  });
});

interface Options {
  attempts: number;
  delay: number | undefined;
}
const schema: Schema<Options> = {
  attempts: { rule: integer(1), default: 3 },
  delay: { rule: duration(), default: undefined },
};
const read = (input: unknown): { options: Options; issues: string[] } => {
  const issues = new Issues();
  return { options: readOptions(schema, input, 'it', issues), issues: issues.list };
};

describe('options', () => {
  it.each<[unknown, Options]>([
    [undefined, { attempts: 3, delay: undefined }],
    [{}, { attempts: 3, delay: undefined }],
    [{ attempts: undefined }, { attempts: 3, delay: undefined }],
    [{ unknown: undefined }, { attempts: 3, delay: undefined }],
    [
      { attempts: 5, delay: '1s' },
      { attempts: 5, delay: 1000 },
    ],
    [
      Object.assign(Object.create(null) as object, { attempts: 5 }),
      { attempts: 5, delay: undefined },
    ],
    [Object.freeze({ attempts: 5 }), { attempts: 5, delay: undefined }],
  ])('%p are read as %p', (input, options) => {
    expect(read(input)).toEqual({ options, issues: [] });
    expect(Object.isFrozen(read(input).options)).toBe(true);
  });

  it.each<[unknown, string[]]>([
    [null, ['it must be an object of options, got null']],
    ['x', ['it must be an object of options, got "x"']],
    [[1], ['it must be an object of options, got [1]']],
    [{ attempt: 5 }, ['it.attempt is not a known option; did you mean "attempts"?']],
    [{ zzzzzz: 5 }, ['it.zzzzzz is not a known option']],
    [
      { attempts: 0, delay: 'x', wrong: 1 },
      [
        'it.wrong is not a known option',
        'it.attempts must be a whole number of at least 1, got 0',
        expect.stringContaining('it.delay must be a duration'),
      ],
    ],
  ])('%p are refused with %j', (input, issues) => {
    expect(read(input).issues).toEqual(issues);
    expect(() => requireOptions(schema, input, 'it')).toThrow(ResilienceConfigError);
  });

  it.each(['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty'])(
    '%s from JSON is an unknown option like another, and pollutes nothing',
    (key) => {
      const input: unknown = JSON.parse(`{ "${key}": { "attempts": 99, "polluted": true } }`);
      expect(read(input)).toMatchObject({
        options: { attempts: 3 },
        issues: [expect.stringContaining(`it.${key} is not a known option`)],
      });
      expect({}).not.toHaveProperty('polluted');
      for (const build of [
        () => new RetryConfig(input as object),
        () => new CircuitBreaker('b', input as object),
      ]) {
        expect(build).toThrow(ResilienceConfigError);
      }
    },
  );

  it('a polluted prototype sets no option', () => {
    const prototype = Object.prototype as unknown as Record<string, unknown>;
    prototype['attempts'] = 99;
    prototype['maxAttempts'] = 99;
    prototype['failureThreshold'] = 99;
    try {
      expect(read({}).options.attempts).toBe(3);
      expect(new RetryConfig({}).maxAttempts).toBe(3);
      expect(new CircuitBreaker('b').options.failureThreshold).toBe(5);
    } finally {
      for (const key of ['attempts', 'maxAttempts', 'failureThreshold']) {
        // eslint-disable-next-line @typescript-eslint/no-dynamic-delete
        delete prototype[key];
      }
    }
  });

  it('whose getter throws let it through', () => {
    const input = Object.defineProperty({}, 'attempts', { get: throws, enumerable: true });
    expect(thrownBy(() => read(input))).toBe(boom);
  });
});

describe('a suggestion', () => {
  it.each([
    ['maxAttempt', 'maxAttempts'],
    ['maxattempts', 'maxAttempts'],
    ['max_attempts', 'maxAttempts'],
    ['basedelay', 'baseDelay'],
    ['delay', undefined],
    ['jitt', 'jitter'],
    ['jit', undefined],
    ['baseDzzzz', 'baseDelay'],
    ['basezzzzz', undefined],
    ['x', undefined],
    ['somethingElseAltogether', undefined],
    ['', undefined],
  ])('for "%s" is %p', (name, nearest) => {
    const expected = nearest === undefined ? '' : `; did you mean "${nearest}"?`;
    expect(suggest(name, ['maxAttempts', 'baseDelay', 'jitter'])).toBe(expected);
  });

  it('is the first of those that are equally near', () => {
    expect(suggest('cat', ['bat', 'hat'])).toBe('; did you mean "bat"?');
  });

  it('is none where nothing is known', () => {
    expect(suggest('name', [])).toBe('');
  });
});

describe('a value in a message', () => {
  const cyclic: Record<string, unknown> = {};
  cyclic['self'] = cyclic;
  class Named {
    readonly kind = 'named';
  }
  Object.defineProperty(Named, 'name', { value: Symbol('odd') });

  it.each<[unknown, string]>([
    ['text', '"text"'],
    ['quo"te\n', '"quo\\"te\\n"'],
    [5, '5'],
    [NaN, 'NaN'],
    [5n, '5'],
    [null, 'null'],
    [undefined, 'undefined'],
    [Symbol('s'), 'Symbol(s)'],
    [{ a: 1 }, '{"a":1}'],
    [function named() {}, 'function named'],
    [() => 1, 'function (anonymous)'],
    [cyclic, 'an object'],
    [{ big: 1n }, 'an object'],
    [{ toJSON: () => undefined }, 'an object'],
    [{ toJSON: throws }, 'an object'],
    [new Proxy({}, { ownKeys: throws, get: throws }), 'an object'],
    [new Proxy(() => 1, { get: throws }), 'an object'],
    [Named, 'an object'],
  ])('is shown shortly and without a throw', (value, shown) => {
    expect(show(value)).toBe(shown);
  });

  it('is cut where it is long', () => {
    expect(show('x'.repeat(500))).toBe(`"${'x'.repeat(80)}"`);
    expect(show({ long: 'x'.repeat(500) })).toBe(`{"long":"${'x'.repeat(71)}`);
  });
});

describe('a policy in the place of options is named', () => {
  const breaker = new CircuitBreaker('payments');
  const shown = 'got a policy (circuitBreaker "payments")';
  it.each<[string, (given: never) => unknown]>([
    ['circuitBreaker(other)', (given) => new CircuitBreaker('other', given)],
    ['circuitBreaker(keyed)', (given) => new KeyedCircuitBreakers('keyed', given)],
    ['retry(retry)', (given) => retry(given)],
    ['retry(retry)', (given) => withRetry(given)],
    ['retry', (given) => new RetryConfig(given)],
    ['timeLimit(timeLimit)', (given) => timeLimit(given)],
    ['bulkhead(bulkhead)', (given) => bulkhead(given)],
    ['rateLimit(rateLimit)', (given) => rateLimit(given)],
    ['adaptiveLimit(adaptiveLimit)', (given) => adaptiveLimit(given)],
    ['clientThrottle(clientThrottle)', (given) => clientThrottle(given)],
    ['hedge(hedge)', (given) => hedge(given)],
    ['fallback(fallback)', (given) => fallback(() => 1, given)],
    ['budget(default)', (given) => new RetryBudget(given)],
  ])('%s', (path, make) => {
    const error = thrownBy(() => make(breaker as never)) as ResilienceConfigError;
    expect(error.issues[0]).toBe(`${path} must be an object of options, ${shown}`);
  });

  it('while options that are strict about what is read of them are read', () => {
    const strict = new Proxy(
      { failureThreshold: 7 },
      {
        get: (target, key) => {
          if (key in target) return target[key as 'failureThreshold'];
          throw new Error(`no ${String(key)}`);
        },
      },
    );
    expect(new CircuitBreaker('payments', strict).options.failureThreshold).toBe(7);
  });

  it('and of a handler', () => {
    const error = thrownBy(() => fallback(breaker as never)) as ResilienceConfigError;
    expect(error.issues).toEqual([`fallback(fallback) handler must be a function, ${shown}`]);
  });
});
