import {
  BulkheadRejectedError,
  CircuitBreakerError,
  RateLimitedError,
  RetryExhaustedError,
  TimeoutError,
  isTransientError,
} from 'nestjs-bulwark/core';
import { coded } from '../support/lab.js';

const throws = (): never => {
  throw new Error('hostile');
};
const caused = (cause: unknown, depth = 1): unknown =>
  depth === 0 ? cause : new Error('wrapped', { cause: caused(cause, depth - 1) });
const cyclic = new Error('cyclic');
cyclic.cause = new Error('round', { cause: cyclic });

describe('isTransientError', () => {
  it.each([
    'ECONNRESET',
    'ECONNREFUSED',
    'ECONNABORTED',
    'ETIMEDOUT',
    'EPIPE',
    'EAI_AGAIN',
    'ENETUNREACH',
    'EHOSTUNREACH',
    'UND_ERR_CONNECT_TIMEOUT',
    'UND_ERR_HEADERS_TIMEOUT',
    'UND_ERR_BODY_TIMEOUT',
    'UND_ERR_SOCKET',
    'TIMEOUT',
  ])('the code %s', (code) => {
    expect(isTransientError(coded(code))).toBe(true);
    expect(isTransientError({ code })).toBe(true);
  });

  it.each([408, 425, 429, 500, 502, 503, 504])('the status %d, wherever it is', (status) => {
    const places = [
      { status },
      { statusCode: status },
      { getStatus: () => status },
      { response: { status } },
      { response: { statusCode: status } },
    ];
    for (const error of places) expect(isTransientError(error)).toBe(true);
  });

  it.each<[string, unknown]>([
    ['our TimeoutError', new TimeoutError(5)],
    ["the platform's TimeoutError", new DOMException('late', 'TimeoutError')],
    ["fetch's network failure", new TypeError('fetch failed', { cause: new Error('socket') })],
    ["fetch's broken body", new TypeError('terminated')],
    ["a browser's network failure", new TypeError('network error')],
    ['a cause', caused(coded('ECONNRESET'))],
    ['a cause of a cause', caused({ status: 503 }, 5)],
    ['the deepest cause that is believed', caused({ status: 503 }, 9)],
    [
      'an exhausted retry, by its cause',
      new RetryExhaustedError({ attempts: 3, lastException: coded('EPIPE') }),
    ],
  ])('%s', (_what, error) => {
    expect(isTransientError(error)).toBe(true);
  });

  it.each<[string, unknown]>([
    ['nothing', undefined],
    ['null', null],
    ['a string', 'ECONNRESET'],
    ['a number', 503],
    ['a plain error', new Error('down')],
    ['another TypeError', new TypeError('x is not a function')],
    ['an error that is no TypeError', new Error('terminated')],
    ['another code', coded('ENOENT')],
    ['a host that is not known', coded('ENOTFOUND')],
    ["a request that axios' caller gave up", coded('ERR_CANCELED')],
    ['a numeric code', { code: 503 }],
    ['an unexpected status', { status: 404 }],
    ['a status in words', { status: '503' }],
    ['a response that is text', { response: 'Service Unavailable' }],
    ['a null response', { response: null }],
    ['an abort', new DOMException('gone', 'AbortError')],
    ['an open circuit', new CircuitBreakerError('x')],
    ['a full bulkhead', new BulkheadRejectedError('x')],
    ['a rate limit', new RateLimitedError('x', { retryAfter: 1 })],
    ['causes that go round', cyclic],
    ['a cause too deep to be believed', caused(coded('ECONNRESET'), 10)],
    ['a function', Object.assign(() => 1, { code: 'ECONNRESET' })],
    ['a hostile code', Object.defineProperty({}, 'code', { get: throws })],
    ['a hostile getStatus', { getStatus: throws }],
    ['a hostile cause', Object.defineProperty(new Error(), 'cause', { get: throws })],
    ['a hostile message', { name: 'TypeError', message: { toString: throws } }],
    ['a hostile proxy', new Proxy({}, { get: throws, has: throws, getPrototypeOf: throws })],
  ])('not %s', (_what, error) => {
    expect(isTransientError(error)).toBe(false);
  });
});
