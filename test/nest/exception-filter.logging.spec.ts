import 'reflect-metadata';
import {
  BadRequestException,
  Controller,
  Get,
  type INestApplication,
  InternalServerErrorException,
  type LoggerService,
} from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  AbortError,
  CircuitBreakerError,
  ResilienceConfigError,
  ResilienceModule,
  Retry,
  RetryExhaustedError,
  TimeoutError,
  isAbortError,
} from 'nestjs-bulwark';
import { request } from './support/applications.js';

let thrown: unknown;
@Controller()
class Routes {
  @Get('thrown')
  thrown(): never {
    throw thrown;
  }
  @Get('mistake')
  @Retry({ maxAttempts: 2, baseDelay: 0, abortOn: isAbortError })
  async mistake(): Promise<string> {
    return (undefined as unknown as { name: string }).name;
  }
}

let app: INestApplication;
let lines: unknown[][];
beforeEach(async () => {
  lines = [];
  const silent = (): void => undefined;
  const logger: LoggerService = {
    log: silent,
    warn: silent,
    error: (...line: unknown[]) => lines.push(line),
  };
  const module = await Test.createTestingModule({
    imports: [ResilienceModule.forRoot()],
    controllers: [Routes],
  }).compile();
  app = await module.createNestApplication({ logger }).init();
});
afterEach(() => app.close());

const exhausted = (lastException: unknown): RetryExhaustedError =>
  new RetryExhaustedError({ attempts: 3, lastException });

describe('the log tells of an exhausted retry', () => {
  it('the mistake behind it, with its stack, once', async () => {
    await request(app).get('/mistake').expect(503);
    const text =
      'Gave up after 2 attempts (attempts): TypeError: Cannot read properties of undefined';
    expect(lines).toEqual([
      [
        expect.stringContaining(text),
        expect.stringMatching(/^TypeError: Cannot.*\n +at Routes\..*logging\.spec/),
        'Resilience',
      ],
    ]);
  });

  it('what is behind retries around retries, and its own causes', async () => {
    const refused = new Error('connect ECONNREFUSED');
    thrown = exhausted(exhausted(new TypeError('fetch failed', { cause: refused })));
    await request(app).get('/thrown').expect(503);
    expect(lines).toEqual([
      [
        'Gave up after 3 attempts (attempts): TypeError: fetch failed',
        expect.stringMatching(
          /^TypeError: fetch failed\n[^]+\nCaused by: Error: connect ECON.*\n +at /,
        ),
        'Resilience',
      ],
    ]);
  });

  it.each([
    ['a text', 'out\nof order', 'out\\u000aof order'],
    ['nothing', undefined, 'undefined'],
    ['an object', { code: 7 }, '[object Object]'],
    [
      'a hostile object',
      new Proxy(new Error('x'), {
        get: () => {
          throw new Error('no');
        },
      }),
      'an error that cannot be read',
    ],
  ])('%s that was thrown', async (_what, cause, text) => {
    thrown = exhausted(cause);
    await request(app).get('/thrown').expect(503);
    expect(lines).toHaveLength(1);
    expect(lines[0]?.[0]).toBe(`Gave up after 3 attempts (attempts): ${text}`);
  });

  it('a loop of causes ends', async () => {
    const loop = new Error('loop');
    loop.cause = loop;
    thrown = exhausted(loop);
    await request(app).get('/thrown').expect(503);
    expect(lines).toHaveLength(1);
  });

  it('bad configuration behind it', async () => {
    thrown = exhausted(new ResilienceConfigError(['retry(api) is wrong']));
    await request(app).get('/thrown').expect(500);
    expect(lines).toEqual([
      [expect.stringContaining('retry(api) is wrong'), expect.any(String), 'Resilience'],
    ]);
  });
});

describe('the log tells nothing of', () => {
  it.each<[string, unknown]>([
    ['an open circuit', new CircuitBreakerError('payments')],
    ['a time limit', new TimeoutError(1)],
    ['an abort', new AbortError('Shutting down')],
    ['a retry of an open circuit', exhausted(new CircuitBreakerError('payments'))],
    ['a retry of a time limit', exhausted(new TimeoutError(1))],
    ['a retry of an abort', exhausted(new AbortError('Shutting down'))],
    ['a retry of a 400', exhausted(new BadRequestException())],
    ['a retry of a 500', exhausted(new InternalServerErrorException())],
  ])('%s', async (_what, error) => {
    thrown = error;
    await request(app).get('/thrown');
    expect(lines).toEqual([]);
  });
});
