import { inherits } from 'node:util';
import {
  AbortError,
  CircuitBreakerError,
  type ErrorFilter,
  RetryExhaustedError,
  isTransientError,
} from 'nestjs-bulwark/core';
import { compileFilter, errorFilter, isOwnAnswer } from '../../lib/core/error-filter.js';
import { coded, down, thrownBy } from '../support/lab.js';

class Parent extends Error {}
class Child extends Parent {}
/** As compilers write classes for old engines. */
function Legacy(this: Error): void {
  this.message = 'legacy';
}
inherits(Legacy, Error);
const legacy = new (Legacy as unknown as new () => Error)();
class NoError {
  readonly kind = 'value';
}

describe('a filter', () => {
  it.each<[string, ErrorFilter, unknown, boolean]>([
    ['a class takes its own', Parent, new Parent(), true],
    ['a class takes its heirs', Parent, new Child(), true],
    ['a class leaves its parents', Child, new Parent(), false],
    ['a class need not be an error', NoError, new NoError(), true],
    ['a class of the old style', Legacy as never, legacy, true],
    ['a class of the old style leaves others', Legacy as never, down, false],
    ['a class leaves what is no object', Parent, 'text', false],
    ['a code', 'EPIPE', coded('EPIPE'), true],
    ['another code', 'EPIPE', coded('ENOENT'), false],
    ['a code is no message', 'down', down, false],
    ['a code of null', 'EPIPE', null, false],
    ['a predicate', (e) => e === down, down, true],
    [
      'a predicate of the old style',
      function (e: unknown) {
        return e === down;
      },
      down,
      true,
    ],
    ['a method', { is: (e: unknown): boolean => e === down }.is, down, true],
    ['one of several', [Parent, 'EPIPE', (e: unknown) => e === 5], 5, true],
    ['none of several', [Parent, 'EPIPE'], down, false],
    ['an empty list', [], down, false],
    ['Error takes errors', Error, down, true],
    ['Error leaves own answers', Error, new CircuitBreakerError('x'), false],
    ['Error leaves aborts', [Error], new AbortError(), false],
    ['Object leaves own answers', Object, new CircuitBreakerError('x'), false],
    ['isTransientError takes what is transient', isTransientError, coded('EPIPE'), true],
    [
      'isTransientError leaves an exhausted retry',
      isTransientError,
      new RetryExhaustedError({ attempts: 1, lastException: coded('EPIPE') }),
      false,
    ],
  ])('%s', (_what, filter, error, expected) => {
    expect(compileFilter(filter)(error)).toBe(expected);
  });

  it('is compiled once: a list changed later changes nothing', () => {
    const list: string[] = ['EPIPE'];
    const matches = compileFilter(list);
    list.length = 0;
    expect(matches(coded('EPIPE'))).toBe(true);
  });

  it('may throw what a predicate or a hostile error throws', () => {
    const hostile = new Proxy({}, { get: () => thrownBy(() => 1) });
    expect(() => compileFilter('EPIPE')(hostile)).toThrow('Expected a throw');
  });

  it('throws where a predicate gives a promise, which would match everything', () => {
    const later = (): boolean => Promise.reject(down) as never;
    expect(() => compileFilter(['EPIPE', later])(down)).toThrow(
      new TypeError('It returned a promise; it must not be async'),
    );
  });

  it.each<[unknown, boolean]>([
    [Parent, true],
    ['EPIPE', true],
    [() => true, true],
    [[], true],
    [[Parent, 'EPIPE', () => true], true],
    [Object.setPrototypeOf(() => true, null), true],
    ['', false],
    [async () => true, false],
    [undefined, false],
    [null, false],
    [5, false],
    [/EPIPE/, false],
    [new Error('instance'), false],
    [[Parent, null], false],
    [[[Parent]], false],
    [{ length: 0 }, false],
  ])('as an option: %p is one: %p', (value, valid) => {
    expect('value' in errorFilter()(value)).toBe(valid);
  });
});

describe('an own answer', () => {
  it.each<[unknown, boolean]>([
    [new CircuitBreakerError('x'), true],
    [new RetryExhaustedError({ attempts: 1, lastException: down }), true],
    [new AbortError(), true],
    [new DOMException('x', 'AbortError'), true],
    [{ code: 'ABORT_ERR' }, true],
    [down, false],
    [undefined, false],
  ])('%s: %p', (error, expected) => {
    expect(isOwnAnswer(error)).toBe(expected);
  });
});
