import { RateLimitedError, type RetryOptions, retry, retryAfterOf } from 'nestjs-bulwark/core';
import { Lab, down } from '../support/lab.js';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});

/** The wait after one failure with `error`. */
async function waitAfter(error: unknown, options: RetryOptions = {}): Promise<number> {
  let attempts = 0;
  const work = (): string => {
    if (++attempts === 1) throw error;
    return 'fine';
  };
  const policy = retry({ jitter: 0, ...options }, { runtime: lab.runtime });
  await lab.outcomeOf(policy.execute(work));
  expect(attempts).toBe(2);
  return policy.snapshot().waited;
}

const withHeaders = (headers: unknown): object => ({ response: { headers } });
const httpDate = (inMs: number): string => new Date(lab.clock.wallTime() + inMs).toUTCString();
const hostile = new Proxy(
  {},
  {
    get(): never {
      throw new Error('hostile');
    },
    ownKeys(): never {
      throw new Error('hostile');
    },
  },
);

describe('the least wait that an error asks for', () => {
  it.each<[string, () => unknown, number]>([
    ['retryAfter in milliseconds', () => ({ retryAfter: 2500 }), 2500],
    ['our own RateLimitedError', () => new RateLimitedError('api', { retryAfter: 700 }), 700],
    ['a header of its own', () => ({ headers: { 'retry-after': '3' } }), 3000],
    ['a header of its response', () => withHeaders({ 'retry-after': '4' }), 4000],
    ['a header in any case', () => withHeaders({ 'Retry-After': '5' }), 5000],
    ['a header that is a number', () => withHeaders({ 'retry-after': 6 }), 6000],
    ['a header with a fraction and spaces', () => withHeaders({ 'retry-after': ' 1.5 ' }), 1500],
    ['the first of several headers', () => withHeaders({ 'retry-after': ['7', '9'] }), 7000],
    ["fetch's Headers", () => withHeaders(new Headers({ 'Retry-After': '8' })), 8000],
    ['a Map of headers', () => withHeaders(new Map([['retry-after', '9']])), 9000],
    ['an HTTP date', () => withHeaders({ 'retry-after': httpDate(10_000) }), 10_000],
    [
      'its own header before that of its response',
      () => ({
        headers: { 'retry-after': '2' },
        ...withHeaders({ 'retry-after': '9' }),
      }),
      2000,
    ],
    [
      'a field before any header',
      () => ({
        retryAfter: 1234,
        headers: { 'retry-after': '9' },
      }),
      1234,
    ],
    [
      'a field of nothing before any header',
      () => ({ retryAfter: 0, ...withHeaders({ 'retry-after': '9' }) }),
      100,
    ],
    [
      'a header of its response where its own are null',
      () => ({ headers: null, ...withHeaders({ 'retry-after': '2' }) }),
      2000,
    ],
    ['a header with a fraction', () => withHeaders({ 'retry-after': '1.25' }), 1250],
    ['a header of nine digits', () => withHeaders({ 'retry-after': '000000002' }), 2000],
    [
      'a header of its response where it has others of its own',
      () => ({ headers: { age: '1' }, ...withHeaders({ 'retry-after': '2' }) }),
      2000,
    ],
    [
      'a date with a remark, of 64 characters',
      () => withHeaders({ 'retry-after': `${httpDate(10_000)} (${'x'.repeat(32)})` }),
      10_000,
    ],
    ['a header among others', () => withHeaders({ age: '1', 'retry-after': '2' }), 2000],
    [
      'a header where its field is no time',
      () => ({ retryAfter: '5000', ...withHeaders({ 'retry-after': '2' }) }),
      2000,
    ],
    [
      'a header where its field is negative',
      () => ({ retryAfter: -1, ...withHeaders({ 'retry-after': '2' }) }),
      2000,
    ],
  ])('%s', async (_what, error, expected) => {
    expect(await waitAfter(error(), { retryOn: () => true })).toBe(expected);
  });

  it.each<[string, () => unknown]>([
    ['a plain error', () => down],
    ['nothing', () => undefined],
    ['a string', () => 'retry-after: 9'],
    ['a negative number', () => ({ retryAfter: -5 })],
    ['NaN', () => ({ retryAfter: NaN })],
    ['infinity', () => ({ retryAfter: Infinity })],
    ['a string where a number belongs', () => ({ retryAfter: '5000' })],
    ['a date gone by', () => withHeaders({ 'retry-after': httpDate(-10_000) })],
    ['a header of words', () => withHeaders({ 'retry-after': 'later today' })],
    ['a header of words with a number', () => withHeaders({ 'retry-after': 'in 30' })],
    ['a header with a unit', () => withHeaders({ 'retry-after': '30 s' })],
    ['a header of ten digits', () => withHeaders({ 'retry-after': '0000000030' })],
    [
      'a date without its day',
      () => withHeaders({ 'retry-after': new Date(lab.clock.wallTime() + 9000).toISOString() }),
    ],
    [
      'a date behind too much else',
      () => withHeaders({ 'retry-after': httpDate(9000).padEnd(65, ' (x)') }),
    ],
    ['a header that is negative', () => withHeaders({ 'retry-after': '-30' })],
    ['a header of far too many digits', () => withHeaders({ 'retry-after': '9'.repeat(400) })],
    ['a header of far too many letters', () => withHeaders({ 'retry-after': 'Mon'.repeat(9999) })],
    ['an empty header', () => withHeaders({ 'retry-after': '' })],
    ['a header that is an object', () => withHeaders({ 'retry-after': {} })],
    ['a date without its weekday', () => withHeaders({ 'retry-after': httpDate(9000).slice(5) })],
    ['a date behind a letter', () => withHeaders({ 'retry-after': `x${httpDate(9000).slice(4)}` })],
    ['a header that is a Date', () => withHeaders({ 'retry-after': new Date(Date.now() + 9e6) })],
    ['an empty list of headers', () => withHeaders({ 'retry-after': [] })],
    ['headers that are no object', () => withHeaders('retry-after: 9')],
    ['no headers', () => withHeaders(null)],
    ['a hostile error', () => hostile],
    ['hostile headers', () => withHeaders(hostile)],
    [
      'headers with a get that throws',
      () =>
        withHeaders({
          get: () => {
            throw down;
          },
        }),
    ],
  ])('%s asks for nothing: the back-off stands', async (what, error) => {
    expect(await waitAfter(error())).toBe(100);
    expect(retryAfterOf(error(), lab.clock)).toBe(what === 'a date gone by' ? 0 : undefined);
  });

  it('never shortens the back-off', async () => {
    expect(await waitAfter({ retryAfter: 20 })).toBe(100);
  });

  it('is capped by maxDelay', async () => {
    expect(await waitAfter({ retryAfter: 999_999 }, { maxDelay: 5000 })).toBe(5000);
  });

  it.each<[RetryOptions['jitter'], number, number]>([
    [0, 1000, 1000],
    [0.1, 1000, 1100],
    [0.5, 1000, 1500],
    ['full', 1000, 1100],
    ['decorrelated', 1000, 1100],
  ])('is spread upwards, never shortened, by jitter %p', async (jitter, least, most) => {
    lab.random = 0;
    expect(await waitAfter({ retryAfter: 1000 }, { jitter })).toBeCloseTo(least, 6);
    lab.random = 1;
    expect(await waitAfter({ retryAfter: 1000 }, { jitter })).toBeCloseTo(most, 6);
  });

  it('is not looked at where respectRetryAfter is off', async () => {
    expect(await waitAfter({ retryAfter: 5000 }, { respectRetryAfter: false })).toBe(100);
  });

  it('past maxDuration ends the retries', async () => {
    const policy = retry({ maxDuration: '2s' }, { runtime: lab.runtime });
    const error = { retryAfter: 3000 };
    const work = (): never => {
      throw error as unknown as Error;
    };
    expect(await lab.errorOf(policy.execute(work))).toMatchObject({
      reason: 'duration',
      attempts: 1,
      lastException: error,
    });
  });

  it('R19 a date is read by the wall clock, and the wait kept by the other', async () => {
    lab.clock.stepWallTime(3_600_000);
    const error = withHeaders({ 'retry-after': httpDate(4000) });
    expect(await waitAfter(error)).toBe(4000);
  });
});
