import 'reflect-metadata';
import {
  type ArgumentsHost,
  BadRequestException,
  Catch,
  Controller,
  type ExceptionFilter,
  Get,
  type INestApplication,
  Res,
  type Type,
  UseFilters,
} from '@nestjs/common';
import {
  AbortError,
  BulkheadRejectedError,
  CircuitBreakerError,
  CircuitProtected,
  CircuitState,
  RateLimitedError,
  ResilienceConfigError,
  ResilienceModule,
  type ResilienceModuleOptions,
  Retry,
  RetryExhaustedError,
  TimeoutError,
} from 'nestjs-bulwark';
import { type Observable, throwError } from 'rxjs';
import { Lab, down } from '../support/lab.js';
import {
  ADAPTERS,
  type Adapter,
  closeAll,
  request,
  serve,
  throughWaits,
} from './support/applications.js';

afterEach(closeAll);

const SECRET = 'internal-payments';
const unavailable = {
  statusCode: 503,
  message: 'The service is temporarily unavailable',
  error: 'Service Unavailable',
};
const tooMany = { statusCode: 429, message: 'Too many requests', error: 'Too Many Requests' };
const tooSlow = {
  statusCode: 504,
  message: 'The service took too long to answer',
  error: 'Gateway Timeout',
};
const exhausted = (lastException: unknown): RetryExhaustedError =>
  new RetryExhaustedError({ attempts: 3, lastException });
const open = (remainingTimeout?: number): CircuitBreakerError =>
  new CircuitBreakerError(SECRET, { state: CircuitState.OPEN, remainingTimeout });
/** Errors of another installed copy of the library: its classes are not ours. */
const foreign = Object.assign(new Error('Rate limit'), {
  [Symbol.for('nestjs-bulwark:error')]: 'RATE_LIMITED',
  retryAfter: 2500,
});
const foreignAbort = Object.assign(new Error(SECRET), {
  [Symbol.for('nestjs-bulwark:abort')]: true,
  name: 'AbortError',
});

interface Row {
  title: string;
  error: Error;
  status: number;
  body: object;
  retryAfter?: string;
}
const rows: Row[] = [
  { title: 'circuit open', error: open(30_000), status: 503, body: unavailable, retryAfter: '30' },
  {
    title: 'circuit open, 1 ms left',
    error: open(1),
    status: 503,
    body: unavailable,
    retryAfter: '1',
  },
  {
    title: 'circuit open, 1000 ms left',
    error: open(1000),
    status: 503,
    body: unavailable,
    retryAfter: '1',
  },
  {
    title: 'circuit open, 1000.5 ms left',
    error: open(1000.5),
    status: 503,
    body: unavailable,
    retryAfter: '2',
  },
  {
    title: 'circuit open, 0 ms left',
    error: open(0),
    status: 503,
    body: unavailable,
    retryAfter: '0',
  },
  {
    title: 'circuit half-open',
    error: new CircuitBreakerError(SECRET, { state: CircuitState.HALF_OPEN }),
    status: 503,
    body: unavailable,
  },
  {
    title: 'bulkhead full',
    error: new BulkheadRejectedError(SECRET),
    status: 503,
    body: unavailable,
  },
  {
    title: 'rate limited',
    error: new RateLimitedError(SECRET, { retryAfter: 1500 }),
    status: 429,
    body: tooMany,
    retryAfter: '2',
  },
  {
    title: 'rate limited by another copy',
    error: foreign,
    status: 429,
    body: tooMany,
    retryAfter: '3',
  },
  {
    title: 'a wait that a shutdown ended',
    error: new AbortError(SECRET),
    status: 503,
    body: unavailable,
  },
  { title: 'the same by another copy', error: foreignAbort, status: 503, body: unavailable },
  { title: 'time limit', error: new TimeoutError(250), status: 504, body: tooSlow },
  {
    title: 'exhausted, of an Error',
    error: exhausted(new Error(SECRET)),
    status: 503,
    body: unavailable,
  },
  { title: 'exhausted, of no error', error: exhausted(SECRET), status: 503, body: unavailable },
  {
    title: 'exhausted, of a time limit',
    error: exhausted(new TimeoutError(9)),
    status: 504,
    body: tooSlow,
  },
  {
    title: 'exhausted, of an open circuit',
    error: exhausted(open(2001)),
    status: 503,
    body: unavailable,
    retryAfter: '3',
  },
  {
    title: 'exhausted, twice over, of a rate limit',
    error: exhausted(exhausted(new RateLimitedError(SECRET, { retryAfter: 10 }))),
    status: 429,
    body: tooMany,
    retryAfter: '1',
  },
  {
    title: 'exhausted, of an HttpException',
    error: exhausted(new BadRequestException('no amount')),
    status: 400,
    body: { statusCode: 400, message: 'no amount', error: 'Bad Request' },
  },
  {
    title: 'exhausted, of an HttpException with a body of its own',
    error: exhausted(new BadRequestException({ why: 'no amount' })),
    status: 400,
    body: { why: 'no amount' },
  },
  {
    title: 'bad configuration',
    error: new ResilienceConfigError([`retry(${SECRET}) is wrong`]),
    status: 500,
    body: { statusCode: 500, message: 'Internal server error' },
  },
];

let thrown: unknown;
@Controller()
class Routes {
  @Get('promise')
  async promise(): Promise<never> {
    throw thrown;
  }
  @Get('plain')
  plain(): never {
    throw thrown;
  }
  @Get('observable')
  observable(): Observable<never> {
    return throwError(() => thrown);
  }
}

const served = (
  adapter: Adapter,
  options: ResilienceModuleOptions = {},
  controller: Type = Routes,
): Promise<INestApplication> =>
  serve({ imports: [ResilienceModule.forRoot(options)], controllers: [controller] }, adapter);

describe.each(ADAPTERS)('R50: on %s', (adapter) => {
  it.each(rows)('$title answers $status', async ({ error, status, body, retryAfter }) => {
    const app = await served(adapter);
    thrown = error;
    for (const path of ['promise', 'plain', 'observable']) {
      const response = await request(app).get(`/${path}`);
      expect(response.status).toBe(status);
      expect(response.body).toEqual(body);
      expect(response.headers['retry-after']).toBe(retryAfter);
      expect(response.headers['content-type']).toContain('application/json');
      expect(response.text + JSON.stringify(response.headers)).not.toContain(SECRET);
    }
  });

  it('a loop of causes ends', async () => {
    const app = await served(adapter);
    const error = exhausted(undefined);
    Object.defineProperty(error, 'cause', { value: error });
    thrown = error;
    await request(app).get('/promise').expect(503, unavailable);
  });

  it('other errors are left to Nest', async () => {
    const app = await served(adapter);
    thrown = new BadRequestException('no');
    await request(app).get('/promise').expect(400);
    for (thrown of [down, new DOMException('not ours', 'AbortError'), undefined]) {
      await request(app)
        .get('/promise')
        .expect(500, { statusCode: 500, message: 'Internal server error' });
    }
  });

  it('the documented combination answers 503 with the time left, in whole seconds', async () => {
    const lab = new Lab();
    @Controller()
    class Orders {
      @Retry({ maxAttempts: 5 })
      @CircuitProtected({ failureThreshold: 2, recoveryTimeout: '30s' })
      @Get()
      list(): Promise<never> {
        return Promise.reject(down);
      }
    }
    const app = await served(adapter, { runtime: lab.runtime }, Orders);
    const first = await throughWaits(lab, request(app).get('/').expect(503, unavailable));
    expect(first.headers['retry-after']).toBe('30');
    lab.clock.jump(10_000);
    const later = await request(app).get('/').expect(503, unavailable);
    expect(later.headers['retry-after']).toBe('20');
  });

  it("a method's own filter for CircuitBreakerError wins", async () => {
    @Catch(CircuitBreakerError)
    class Own implements ExceptionFilter {
      catch(error: CircuitBreakerError, host: ArgumentsHost): void {
        const response = host.switchToHttp().getResponse<{
          status(code: number): { send(body: string): void };
        }>();
        response.status(418).send(error.breakerName);
      }
    }
    @Controller()
    class Filtered {
      @UseFilters(Own)
      @Get('own')
      own(): never {
        throw thrown;
      }
      @Get('ours')
      ours(): never {
        throw thrown;
      }
    }
    const app = await served(adapter, {}, Filtered);
    thrown = open(1);
    await request(app).get('/own').expect(418, SECRET);
    await request(app).get('/ours').expect(503);
    thrown = new TimeoutError(1);
    await request(app).get('/own').expect(504);
  });

  it.each<[string, () => Type]>([
    ['forRoot', () => ResilienceModule.forRoot({ http: { mapErrors: false } }) as never],
    [
      'forRootAsync',
      () =>
        ResilienceModule.forRootAsync({
          useFactory: () => Promise.resolve({ http: { mapErrors: false } }),
        }) as never,
    ],
  ])('mapErrors: false turns it off (%s)', async (_way, make) => {
    const app = await serve({ imports: [make()], controllers: [Routes] }, adapter);
    thrown = open(1);
    const response = await request(app).get('/promise').expect(500);
    expect(response.body).toEqual({ statusCode: 500, message: 'Internal server error' });
    expect(response.headers).not.toHaveProperty('retry-after');
  });

  it.each([undefined, {}, { mapErrors: undefined }, { mapErrors: true }])(
    'http: %j leaves it on',
    async (http) => {
      const app = await served(adapter, { http });
      thrown = open(1);
      await request(app).get('/promise').expect(503);
    },
  );
});

interface RawResponse {
  raw?: RawResponse;
  writeHead(status: number, headers: object): void;
  write(text: string): void;
}

describe('R50: headers that are sent already', () => {
  @Controller()
  class Streaming {
    @Get()
    stream(@Res() response: RawResponse): never {
      response.writeHead(200, { 'content-type': 'text/plain' });
      response.write('begun');
      throw open(1);
    }
  }
  it('on Express: the response is ended as it is', async () => {
    const app = await served('Express', {}, Streaming);
    await request(app).get('/').expect(200, 'begun');
  });
});
