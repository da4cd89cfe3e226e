import 'reflect-metadata';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  Controller,
  Get,
  Headers,
  type INestApplication,
  Injectable,
  UseInterceptors,
} from '@nestjs/common';
import {
  type HttpOptions,
  ResilienceInterceptor,
  ResilienceModule,
  Retry,
  TimeLimit,
  currentSignal,
  deadlineHeaders,
  remainingTime,
} from 'nestjs-bulwark';
import { Lab, down } from '../support/lab.js';
import { ADAPTERS, closeAll, request, serve, startUpIssues } from './support/applications.js';

const HEADER = 'x-request-timeout-ms';

let lab: Lab;
let tries: number;
let signals: (AbortSignal | undefined)[];
beforeEach(() => {
  lab = new Lab();
  tries = 0;
  signals = [];
});
afterEach(closeAll);

@Injectable()
class Stock {
  @Retry({ maxAttempts: 10, baseDelay: 100, backoff: 'constant', jitter: 0 })
  async count(): Promise<number> {
    tries++;
    return Promise.reject(down);
  }
  @TimeLimit('70ms')
  async left(): Promise<number | undefined> {
    return remainingTime();
  }
}

@Controller()
@UseInterceptors(ResilienceInterceptor({ circuitBreaker: {} }))
class Routes {
  constructor(private readonly stock: Stock) {}
  @Get('left')
  left(): string {
    return String(remainingTime());
  }
  @Get('nearest')
  async nearest(): Promise<string> {
    return String(await this.stock.left());
  }
  @Get('hangs')
  hangs(): Promise<never> {
    signals.push(currentSignal());
    return new Promise(() => undefined);
  }
  @Get('retries')
  retries(): Promise<number> {
    return this.stock.count();
  }
  /** Works for 30 ms, then asks the next service. */
  @Get('relay')
  async relay(@Headers('x-next') next: string): Promise<string> {
    lab.clock.jump(30);
    const headers = deadlineHeaders();
    const response = await fetch(next, { headers, signal: currentSignal() ?? null });
    return `${await response.text()} of ${String(remainingTime())}, sent ${JSON.stringify(headers)}`;
  }
}

describe.each(ADAPTERS)('the deadline of a request, on %s', (adapter) => {
  const serveWith = (http?: HttpOptions): Promise<INestApplication> =>
    serve(
      {
        imports: [ResilienceModule.forRoot({ runtime: lab.runtime, ...(http && { http }) })],
        controllers: [Routes],
        providers: [Stock],
      },
      adapter,
    );

  it.each([
    ['is what the header says', '250', '250'],
    ['is not longer than the most: 60 s', '999999', '60000'],
    ['of ten digits is none', '1000000000', 'undefined'],
    ['of zero is none', '0', 'undefined'],
    ['that is negative is none', '-5', 'undefined'],
    ['with a fraction is none', '1.5', 'undefined'],
    ['with a unit is none', '5s', 'undefined'],
    ['in another notation is none', '1e3', 'undefined'],
    ['that is empty is none', '', 'undefined'],
    ['that is no number is none', 'soon', 'undefined'],
  ])('%s', async (_title, value, left) => {
    const app = await serveWith();
    await request(app).get('/left').set(HEADER, value).expect(200, left);
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('is none without the header', async () => {
    await request(await serveWith())
      .get('/left')
      .expect(200, 'undefined');
  });

  it('is none where the header is repeated', async () => {
    const app = await serveWith();
    await request(app)
      .get('/left')
      .set(HEADER, ['100', '200'] as never)
      .expect(200, 'undefined');
  });

  it.each<[string, HttpOptions, string, string]>([
    ['another header, in any case', { deadlineHeader: 'X-Patience' }, 'x-patience', '200'],
    ['not the usual one then', { deadlineHeader: 'X-Patience' }, HEADER, 'undefined'],
    ['none at all', { deadlineHeader: false }, HEADER, 'undefined'],
    ['another most', { maxDeadline: '150ms' }, HEADER, '150'],
  ])('may be configured: %s', async (_title, http, header, left) => {
    const app = await serveWith(http);
    await request(app).get('/left').set(header, '200').expect(200, left);
  });

  it('R61: the nearest deadline wins', async () => {
    const app = await serveWith();
    await request(app).get('/nearest').set(HEADER, '250').expect('70');
    await request(app).get('/nearest').set(HEADER, '25').expect('25');
  });

  it('answers 504 when it has come, and aborts the work', async () => {
    const app = await serveWith();
    const answer = request(app)
      .get('/hangs')
      .set(HEADER, '250')
      .then((response) => response);
    while (signals.length === 0) await nextTurn();
    await lab.clock.advance(249);
    expect(signals[0]?.aborted).toBe(false);
    await lab.clock.advance(1);
    expect(await answer).toMatchObject({ status: 504, body: { error: 'Gateway Timeout' } });
    expect(signals[0]?.reason).toMatchObject({ code: 'TIMEOUT', timeout: 250 });
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('R61: retries stop where the next could not end in time, R50: 503 for the last failure', async () => {
    const app = await serveWith();
    const answer = request(app)
      .get('/retries')
      .set(HEADER, '250')
      .then((response) => response);
    while (tries === 0) await nextTurn();
    await lab.clock.advance(200);
    expect(await answer).toMatchObject({ status: 503, body: { error: 'Service Unavailable' } });
    expect(tries).toBe(3);
  });

  it('goes on over the wire: the next service sees what is left', async () => {
    const next = await serveWith();
    const first = await serveWith();
    await next.listen(0, '127.0.0.1');
    const url = `${await next.getUrl()}/left`;
    const send = (): ReturnType<ReturnType<typeof request>['get']> =>
      request(first).get('/relay').set('x-next', url);
    await send().set(HEADER, '250').expect(200, `220 of 220, sent {"${HEADER}":"220"}`);
    await send().expect(200, 'undefined of undefined, sent {}');
  });

  it('ends the call to the next service with it', async () => {
    const next = await serveWith();
    const first = await serveWith();
    await next.listen(0, '127.0.0.1');
    const answer = request(first)
      .get('/relay')
      .set('x-next', `${await next.getUrl()}/hangs`)
      .set(HEADER, '250')
      .then((response) => response);
    while (signals.length === 0) await nextTurn();
    await lab.clock.advance(250);
    expect((await answer).status).toBe(504);
    expect(signals[0]?.aborted).toBe(true);
  });
});

describe('deadlineHeaders()', () => {
  it('is empty outside a call, and takes another name', async () => {
    expect(deadlineHeaders()).toEqual({});
    class Client {
      @TimeLimit('1s')
      async headers(): Promise<object> {
        return deadlineHeaders('x-patience');
      }
    }
    expect(await new Client().headers()).toEqual({
      'x-patience': expect.stringMatching(/^(1000|9\d\d)$/),
    });
  });
});

describe('R34: bad options of the deadline stop the start', () => {
  it.each<[string, unknown, string]>([
    ['deadlineHeader', true, 'options.http.deadlineHeader must be'],
    ['deadlineHeader', '', 'options.http.deadlineHeader must be'],
    ['maxDeadline', 0, 'options.http.maxDeadline must be a duration'],
    ['maxDeadline', -1, 'options.http.maxDeadline must be a duration'],
    ['maxDeadline', 'soon', 'options.http.maxDeadline must be a duration'],
  ])('%s: %p', async (option, value, message) => {
    const http = { [option]: value } as HttpOptions;
    const issues = await startUpIssues({ imports: [ResilienceModule.forRoot({ http })] });
    expect(issues).toEqual([expect.stringContaining(message)]);
  });
});
