import 'reflect-metadata';
import {
  Controller,
  Get,
  type INestApplication,
  Injectable,
  Scope,
  type Type,
} from '@nestjs/common';
import { ContextIdFactory } from '@nestjs/core';
import {
  Bulkhead,
  BulkheadRejectedError,
  CircuitProtected,
  Fallback,
  Hedge,
  InjectPolicy,
  type Policy,
  RateLimit,
  RateLimitedError,
  ResilienceConfigError,
  ResilienceModule,
  type ResilienceModuleOptions,
  Retry,
  RetryExhaustedError,
  TimeLimit,
  TimeoutError,
  bulkhead,
  currentSignal,
  fallback,
  hedge,
  rateLimit,
  remainingTime,
  timeLimit,
} from 'nestjs-bulwark';
import { settlePromises } from 'nestjs-bulwark/testing';
import { type Deferred, Lab, coded, deferred, down, settled } from '../support/lab.js';
import {
  ADAPTERS,
  closeAll,
  request,
  serve,
  start,
  startUpIssues,
  throughWaits,
} from './support/applications.js';

let lab: Lab;
let work: Deferred<string>[];
beforeEach(() => {
  lab = new Lab();
  work = [];
});
afterEach(closeAll);

/** Work that ends when the test says so. */
function begin(): Promise<string> {
  const started = deferred<string>();
  work.push(started);
  return started.promise;
}

const options = (): ResilienceModuleOptions => ({
  bulkheads: { pdf: { maxConcurrent: 1 } },
  rateLimits: { quotes: { limit: 1, interval: '1s' } },
  hedges: { reads: { delay: 20 } },
  runtime: lab.runtime,
});

/** The provider, made by a real application. */
async function made<T>(type: Type<T>, more: ResilienceModuleOptions = {}): Promise<T> {
  const app = await start({
    imports: [ResilienceModule.forRoot({ ...options(), ...more })],
    providers: [type],
  });
  return app.get(type);
}

describe('R60: @TimeLimit', () => {
  class Client {
    signal: AbortSignal | undefined;
    left: number | undefined;

    @TimeLimit('50ms')
    call(): Promise<string> {
      this.signal = currentSignal();
      this.left = remainingTime();
      return begin();
    }
    @TimeLimit(50)
    // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a sync type is a compile error
    plain(): any {
      return 'at once';
    }
  }

  it('releases the caller at the limit and tells the work', async () => {
    const client = await made(Client);
    const outcome = settled(client.call());
    await lab.clock.advance(49);
    expect(client.signal?.aborted).toBe(false);
    await lab.clock.advance(1);
    const { error } = (await outcome) as { error: TimeoutError };
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error.timeout).toBe(50);
    expect(client.signal?.reason).toBe(error);
    expect(client.left).toBe(50);
  });

  it('swallows what the work brings later', async () => {
    const client = await made(Client);
    const outcomes = [settled(client.call()), settled(client.call())];
    await lab.clock.advance(50);
    work[0]?.resolve('late');
    work[1]?.reject(down);
    await settlePromises();
    for (const outcome of outcomes) expect(await outcome).toHaveProperty('error.code', 'TIMEOUT');
  });

  it('never aborts the signal after a success', async () => {
    const client = await made(Client);
    const running = client.call();
    work[0]?.resolve('in time');
    expect(await running).toBe('in time');
    await lab.clock.advance(1000);
    expect(client.signal?.aborted).toBe(false);
  });

  it('makes a promise of a plain value (R20)', async () => {
    const running: unknown = (await made(Client)).plain();
    expect(running).toBeInstanceOf(Promise);
    expect(await running).toBe('at once');
  });

  it('around a @Retry limits all attempts and waits, R61: none starts that would be pointless', async () => {
    let tries = 0;
    class Total {
      @TimeLimit('250ms')
      @Retry({ maxAttempts: 10, baseDelay: 100, backoff: 'constant', jitter: 0 })
      async call(): Promise<never> {
        tries++;
        throw down;
      }
    }
    const outcome = settled((await made(Total)).call());
    await lab.clock.advance(200);
    const { error } = (await outcome) as { error: unknown };
    expect(error).toBeInstanceOf(RetryExhaustedError);
    expect(error).toMatchObject({ reason: 'deadline', attempts: 3, cause: down });
    expect(tries).toBe(3);
  });

  it('inside a @Retry limits each attempt', async () => {
    class Each {
      @Retry({ maxAttempts: 2, baseDelay: 100, jitter: 0 })
      @TimeLimit('50ms')
      call(): Promise<string> {
        return begin();
      }
    }
    const error = await lab.errorOf((await made(Each)).call());
    expect(error).toMatchObject({ reason: 'attempts', attempts: 2, cause: { code: 'TIMEOUT' } });
    expect(work).toHaveLength(2);
  });
});

describe('R62: @Bulkhead', () => {
  it('without options lets 10 calls run at once', async () => {
    class Client {
      @Bulkhead()
      call(): Promise<string> {
        return begin();
      }
    }
    const client = await made(Client);
    const calls = Array.from({ length: 11 }, () => settled(client.call()));
    expect(await calls[10]).toHaveProperty('error.code', 'BULKHEAD_FULL');
    expect(work).toHaveLength(10);
  });

  it('keeps a plain value plain, and throws its rejection', async () => {
    class Client {
      #depth = 0;
      @Bulkhead({ maxConcurrent: 2 })
      nested(levels: number): number {
        this.#depth++;
        return levels === 1 ? this.#depth : this.nested(levels - 1);
      }
    }
    const client = await made(Client);
    expect(client.nested(2)).toBe(2);
    expect(() => client.nested(3)).toThrow(BulkheadRejectedError);
    expect(client.nested(1)).toBe(5);
  });

  it('queues in the order in which calls came, and a slot is handed on', async () => {
    const order: string[] = [];
    class Client {
      @Bulkhead({ maxConcurrent: 1, maxQueue: 2, queueTimeout: '1s' })
      async call(name: string): Promise<string> {
        order.push(name);
        return begin();
      }
    }
    const client = await made(Client);
    const calls = ['a', 'b', 'c', 'd'].map((name) => settled(client.call(name)));
    expect(await calls[3]).toHaveProperty('error.code', 'BULKHEAD_FULL');
    for (const each of [0, 1, 2]) {
      work[each]?.resolve('done');
      await calls[each];
    }
    expect(order).toEqual(['a', 'b', 'c']);
  });

  it('refuses a call that waited past queueTimeout, which never starts', async () => {
    class Client {
      @Bulkhead({ maxConcurrent: 1, maxQueue: 1, queueTimeout: 100 })
      call(): Promise<string> {
        return begin();
      }
    }
    const client = await made(Client);
    void client.call();
    const waiting = settled(client.call());
    await lab.clock.advance(100);
    expect(await waiting).toHaveProperty('error.code', 'BULKHEAD_FULL');
    work[0]?.resolve('done');
    await settlePromises();
    expect(work).toHaveLength(1);
  });

  it.each([
    ['inside', 'inside'],
    ['outside', 'outside'],
  ] as const)('holds its slot past a time limit %s it', async (_title, place) => {
    class Client {
      @TimeLimit(50)
      @Bulkhead({ maxConcurrent: 1, name: 'slots' })
      outside(): Promise<string> {
        return begin();
      }
      @Bulkhead({ maxConcurrent: 1, name: 'slots' })
      @TimeLimit(50)
      inside(): Promise<string> {
        return begin();
      }
    }
    const client = await made(Client);
    expect(await lab.errorOf(client[place]())).toBeInstanceOf(TimeoutError);
    expect(await lab.errorOf(client[place]())).toMatchObject({ bulkheadName: 'slots' });
    work[0]?.resolve('late');
    await settlePromises();
    void settled(client[place]());
    expect(work).toHaveLength(2);
  });

  it('inside a @Retry frees its slot before the wait', async () => {
    let fails = true;
    class Client {
      @Retry({ baseDelay: 100, jitter: 0 })
      @Bulkhead({ maxConcurrent: 1 })
      async call(): Promise<string> {
        if (fails) throw down;
        return 'fine';
      }
    }
    const client = await made(Client);
    const first = client.call();
    await lab.clock.advance(50);
    fails = false;
    expect(await client.call()).toBe('fine');
    expect(await lab.resultOf(first)).toBe('fine');
  });

  it('100 calls of 50 ms through a queue are never more than 5 at once', async () => {
    let running = 0;
    let most = 0;
    class Client {
      @Bulkhead({ maxConcurrent: 5, maxQueue: 95 })
      async call(): Promise<void> {
        most = Math.max(most, ++running);
        await new Promise<void>((resolve) => lab.clock.setTimeout(resolve, 50));
        running--;
      }
    }
    const client = await made(Client);
    await lab.resultOf(Promise.all(Array.from({ length: 100 }, () => client.call())));
    expect(most).toBe(5);
    expect(lab.clock.now()).toBe(1000);
  });
});

describe('@RateLimit', () => {
  it('rejects with the exact time until the next token', async () => {
    class Client {
      @RateLimit({ limit: 2, interval: '1s', name: 'api' })
      async call(): Promise<string> {
        return 'fine';
      }
    }
    const client = await made(Client);
    await client.call();
    await client.call();
    lab.clock.jump(120);
    const { error } = (await settled(client.call())) as { error: RateLimitedError };
    expect(error).toBeInstanceOf(RateLimitedError);
    expect(error).toMatchObject({ limiterName: 'api', retryAfter: 380 });
    lab.clock.jump(380);
    expect(await client.call()).toBe('fine');
  });

  it('keeps a plain value plain', async () => {
    class Client {
      @RateLimit({ limit: 1, interval: '1s' })
      call(): number {
        return 42;
      }
    }
    const client = await made(Client);
    expect(client.call()).toBe(42);
    expect(() => client.call()).toThrow(RateLimitedError);
  });

  it('with burst and maxWait: calls wait for their turn, in order', async () => {
    const starts: [string, number][] = [];
    class Client {
      @RateLimit({ limit: 10, interval: '1s', burst: 1, maxWait: 200 })
      async call(name: string): Promise<void> {
        starts.push([name, lab.clock.now()]);
      }
    }
    const client = await made(Client);
    const calls = ['a', 'b', 'c', 'd'].map((name) => settled(client.call(name)));
    await lab.clock.runAll();
    expect(await calls[3]).toMatchObject({ error: { retryAfter: 300 } });
    expect(starts).toEqual([
      ['a', 0],
      ['b', 100],
      ['c', 200],
    ]);
  });

  it('inside a @Retry: its rejection is not retried, unless named', async () => {
    let calls = 0;
    class Client {
      @Retry({ maxAttempts: 3, jitter: 0 })
      @RateLimit({ limit: 1, interval: '1s', name: 'plain' })
      async plain(): Promise<void> {
        calls++;
      }
      @Retry({ maxAttempts: 3, jitter: 0, retryOn: RateLimitedError })
      @RateLimit({ limit: 1, interval: '1s', name: 'named' })
      async named(): Promise<number> {
        calls++;
        return lab.clock.now();
      }
    }
    const client = await made(Client);
    await client.plain();
    expect(await lab.errorOf(client.plain())).toBeInstanceOf(RateLimitedError);
    expect(calls).toBe(1);
    await client.named();
    expect(await lab.resultOf(client.named())).toBe(1000);
  });
});

describe('R63: @Fallback', () => {
  class Rates {
    readonly served = 'from memory';
    readonly seen: unknown[] = [];

    @Fallback('cached')
    rates(currency: string, amount: number): Promise<string> {
      this.seen.push(currency, amount);
      return Promise.reject(down);
    }
    cached(error: unknown, ...args: unknown[]): string {
      this.seen.push(error, ...args);
      return this.served;
    }
    @Fallback(function (this: Rates, error: unknown, ...args: unknown[]) {
      this.seen.push(error, ...args);
      return this.served;
    })
    async byHandler(currency: string): Promise<string> {
      this.seen.push(currency);
      throw down;
    }
    @Fallback(async () => 'covered', { on: 'ECONNRESET' })
    async selective(error: unknown): Promise<string> {
      throw error;
    }
    @Fallback('throwing')
    async failing(): Promise<string> {
      throw down;
    }
    throwing(): string {
      throw new Error('nothing cached');
    }
    @Fallback('cached')
    async aborted(): Promise<string> {
      throw new DOMException('given up', 'AbortError');
    }
  }

  it('answers with a method of the instance, which gets the error, the arguments and this', async () => {
    const rates = await made(Rates);
    expect(await rates.rates('EUR', 3)).toBe('from memory');
    expect(rates.seen).toEqual(['EUR', 3, down, 'EUR', 3]);
  });

  it('answers with a handler, which gets the same', async () => {
    const rates = await made(Rates);
    expect(await rates.byHandler('EUR')).toBe('from memory');
    expect(rates.seen).toEqual(['EUR', down, 'EUR']);
  });

  it('covers the errors that `on` names, and no other', async () => {
    const rates = await made(Rates);
    expect(await rates.selective(coded('ECONNRESET'))).toBe('covered');
    await expect(rates.selective(down)).rejects.toBe(down);
  });

  it('its own error wins, with the original as cause', async () => {
    const rates = await made(Rates);
    await expect(rates.failing()).rejects.toMatchObject({ message: 'nothing cached', cause: down });
  });

  it('leaves aborts alone', async () => {
    const rates = await made(Rates);
    await expect(rates.aborted()).rejects.toMatchObject({ name: 'AbortError' });
    expect(rates.seen).toEqual([]);
  });

  it('the method may be inherited and overridden in a subclass', async () => {
    class Own extends Rates {
      override cached(): string {
        return 'overridden';
      }
    }
    expect(await (await made(Own)).rates('EUR', 1)).toBe('overridden');
  });

  it('the method may come from the subclass of an abstract class', async () => {
    abstract class Base {
      @Fallback('cached')
      async rates(): Promise<string> {
        throw down;
      }
      abstract cached(): string;
    }
    @Injectable()
    class Concrete extends Base {
      cached(): string {
        return 'concrete';
      }
    }
    expect(await (await made(Concrete)).rates()).toBe('concrete');
    expect(await new Concrete().rates()).toBe('concrete');
  });

  it('on a class leaves out the method that it answers with', async () => {
    let asked = 0;
    @Fallback('cached')
    class Client {
      async one(): Promise<string> {
        throw down;
      }
      async cached(): Promise<string> {
        if (++asked > 3) throw new Error('asked again and again');
        throw new Error('nothing cached');
      }
    }
    await expect((await made(Client)).one()).rejects.toThrow('nothing cached');
    expect(asked).toBe(1);
  });

  it('a method that answers for itself is refused', () => {
    const define = (): Type => {
      class Client {
        @Fallback('rates')
        async rates(): Promise<string> {
          throw down;
        }
      }
      return Client;
    };
    expect(define).toThrow(
      'Client.rates: @Fallback() names the method that it stands on; name another that answers for it',
    );
  });

  it.each([
    ['a class', (type: Type) => type],
    ['a factory', (type: Type) => ({ provide: 'made', useFactory: () => new type() as object })],
  ])('a missing method stops the start, for %s', async (_title, provider) => {
    class Client {
      @Fallback('cache')
      async rates(): Promise<string> {
        throw down;
      }
      cached(): string {
        return 'cached';
      }
    }
    const issues = await startUpIssues({
      imports: [ResilienceModule.forRoot()],
      providers: [provider(Client)],
    });
    expect(issues).toEqual([
      'Client.rates: @Fallback("cache") names a method that the class does not have; name a method of the class, which an accessor or a property with a function is not',
    ]);
  });

  class Client {
    @Fallback('cached')
    async rates(): Promise<unknown> {
      throw down;
    }
  }
  class ByProperty extends Client {
    readonly cached = (): string => 'cached';
  }
  class ByAccessor extends Client {
    get cached(): () => string {
      return () => 'cached';
    }
  }
  class ByInheritedAccessor extends ByAccessor {}
  class ByValue extends Client {}
  Object.assign(ByValue.prototype, { cached: 'cached' });
  it.each([
    ['a property', ByProperty, 'a method that the class does not have'],
    ['an accessor', ByAccessor, 'an accessor'],
    ['an inherited accessor', ByInheritedAccessor, 'an accessor'],
    ['a value', ByValue, 'no method'],
  ])('only a method answers, not %s, however the instance is made', async (_what, type, named) => {
    const imports = [ResilienceModule.forRoot()];
    const made = { provide: 'made', useFactory: () => new type() };
    for (const provider of [type, made]) {
      expect(await startUpIssues({ imports, providers: [provider] })).toEqual([
        `Client.rates: @Fallback("cached") names ${named}; name a method of the class, which an accessor or a property with a function is not`,
      ]);
    }
  });

  it('without an application a missing method shows when it is wanted', async () => {
    class Client {
      @Fallback('cache')
      async rates(): Promise<string> {
        throw down;
      }
    }
    const { error } = (await settled(new Client().rates())) as { error: ResilienceConfigError };
    expect(error).toBeInstanceOf(ResilienceConfigError);
    expect(error.issues).toEqual([
      'Client: @Fallback("cache") names a method that the class does not have; name a method of the class, which an accessor or a property with a function is not',
    ]);
    expect(error.cause).toBe(down);
  });

  it('outside a @Retry answers when all attempts failed; inside, after the first', async () => {
    let tries = 0;
    class Client {
      async #fail(): Promise<string> {
        tries++;
        throw down;
      }
      @Fallback((error: Error) => error.name)
      @Retry({ maxAttempts: 3 })
      outside(): Promise<string> {
        return this.#fail();
      }
      @Retry({ maxAttempts: 3 })
      @Fallback(() => 'hidden from the retry')
      inside(): Promise<string> {
        return this.#fail();
      }
    }
    const client = await made(Client);
    expect(await lab.resultOf(client.outside())).toBe('RetryExhaustedError');
    expect(tries).toBe(3);
    expect(await lab.resultOf(client.inside())).toBe('hidden from the retry');
    expect(tries).toBe(4);
  });

  it('covers rejections: an open circuit is answered', async () => {
    class Client {
      @Fallback(({ code }: { code: string }) => code)
      @CircuitProtected({ failureThreshold: 1 })
      async call(): Promise<string> {
        throw down;
      }
    }
    const client = await made(Client);
    expect(await client.call()).toBeUndefined();
    expect(await client.call()).toBe('CIRCUIT_OPEN');
  });
});

describe('R64: @Hedge', () => {
  class Client {
    readonly signals: (AbortSignal | undefined)[] = [];
    @Hedge({ delay: '30ms', maxHedges: 2 })
    call(): Promise<string> {
      this.signals.push(currentSignal());
      return begin();
    }
    @Hedge('reads')
    named(): Promise<string> {
      return begin();
    }
  }

  it('starts another try after each delay, the first answer wins and the losers are aborted', async () => {
    const client = await made(Client);
    const running = client.call();
    expect(work).toHaveLength(1);
    await lab.clock.advance(30);
    expect(work).toHaveLength(2);
    await lab.clock.advance(30);
    expect(work).toHaveLength(3);
    await lab.clock.advance(300);
    expect(work).toHaveLength(3);
    work[1]?.resolve('second');
    expect(await running).toBe('second');
    expect(client.signals.map((signal) => signal?.aborted)).toEqual([true, false, true]);
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('starts another at once when the last one running has failed, and throws the last error', async () => {
    const client = await made(Client);
    const outcome = settled(client.call());
    for (const [at, error] of [down, down, new Error('the last')].entries()) {
      work[at]?.reject(error);
      await settlePromises();
    }
    expect(await outcome).toMatchObject({ error: { message: 'the last' } });
    expect(lab.clock.now()).toBe(0);
  });

  it('takes a name of the module', async () => {
    const running = (await made(Client)).named();
    await lab.clock.advance(20);
    work[1]?.resolve('hedge');
    expect(await running).toBe('hedge');
  });
});

describe('decorators take a policy made by hand, shared by all who are given it', () => {
  const runtime = () => lab.runtime;

  it('@Bulkhead and @RateLimit', async () => {
    const slots = bulkhead({ maxConcurrent: 1 }, { runtime: runtime() });
    const rate = rateLimit({ limit: 1, interval: 1000 }, { runtime: runtime() });
    class Client {
      @Bulkhead(slots) one(): Promise<string> {
        return begin();
      }
      @Bulkhead(slots) other(): Promise<string> {
        return begin();
      }
      @RateLimit(rate) async third(): Promise<void> {
        /* fine */
      }
      @RateLimit(rate) async fourth(): Promise<void> {
        /* fine */
      }
    }
    const client = await made(Client);
    void client.one();
    await expect(client.other()).rejects.toBeInstanceOf(BulkheadRejectedError);
    await client.third();
    await expect(client.fourth()).rejects.toBeInstanceOf(RateLimitedError);
    expect(slots.snapshot()).toMatchObject({ inUse: 1, calls: { rejected: 1 } });
  });

  it('@TimeLimit and @Hedge', async () => {
    const limit = timeLimit(40, { runtime: runtime() });
    const twice = hedge({ delay: 10 }, { runtime: runtime() });
    class Client {
      @TimeLimit(limit)
      @Hedge(twice)
      call(): Promise<string> {
        return begin();
      }
    }
    const client = await made(Client);
    expect(await lab.errorOf(client.call())).toMatchObject({ timeout: 40 });
    expect(work).toHaveLength(2);
    expect(limit.snapshot()).toMatchObject({ calls: { timed_out: 1 } });
    expect(twice.snapshot()).toMatchObject({ attempts: 2 });
  });
});

class Everything {
  calls = 0;
  @Fallback('instead')
  @TimeLimit('1s')
  @Hedge({ delay: 100 })
  @RateLimit({ limit: 2, interval: '1s' })
  @Bulkhead({ maxConcurrent: 1 })
  async call(): Promise<string> {
    this.calls++;
    return 'called';
  }
  instead(error: { code: string }): string {
    return error.code;
  }
}
/** Two calls pass, the third is turned away by the rate limit, whichever instances they go to. */
const expected = ['called', 'called', 'RATE_LIMITED'];

describe('R41: every kind of provider shares the policies of its application', () => {
  it.each<[string, () => Type]>([
    ['a singleton', () => Injectable()(class One extends Everything {}) ?? Everything],
    ['a request-scoped one', () => scoped(Scope.REQUEST)],
    ['a transient one', () => scoped(Scope.TRANSIENT)],
  ])('%s', async (_title, make) => {
    const type = make();
    const app = await start({ imports: [ResilienceModule.forRoot(options())], providers: [type] });
    const answers: string[] = [];
    for (let each = 0; each < 3; each++) {
      const instance: Everything = await app.resolve(type, ContextIdFactory.create());
      answers.push(await instance.call());
    }
    expect(answers).toEqual(expected);
  });

  it('one made by a factory', async () => {
    const app = await start({
      imports: [ResilienceModule.forRoot(options())],
      providers: [{ provide: 'made', useFactory: () => new Everything() }],
    });
    const answers: string[] = [];
    for (let each = 0; each < 3; each++) answers.push(await app.get<Everything>('made').call());
    expect(answers).toEqual(expected);
  });

  it('R32: two applications do not', async () => {
    const [one, other] = [await made(Everything), await made(Everything)];
    await one.call();
    await one.call();
    expect(await one.call()).toBe('RATE_LIMITED');
    expect(await other.call()).toBe('called');
  });

  it('new Service() works without an application', async () => {
    class Alone extends Everything {}
    expect(await new Alone().call()).toBe('called');
  });
});

function scoped(scope: Scope): Type<Everything> {
  @Injectable({ scope })
  class Scoped extends Everything {}
  return Scoped;
}

describe.each(ADAPTERS)('R50: on a controller, over HTTP on %s', (adapter) => {
  @Controller()
  class Routes {
    @TimeLimit('50ms')
    @Get('slow')
    slow(): Promise<string> {
      return begin();
    }
    @Bulkhead({ maxConcurrent: 1 })
    @Get('crowded')
    crowded(): Promise<string> {
      return begin();
    }
    @Get('often')
    @RateLimit({ limit: 1, interval: '90s' })
    often(): string {
      return 'fine';
    }
    @Fallback('instead')
    @Get('cached')
    async cached(): Promise<string> {
      throw down;
    }
    instead(): string {
      return 'from memory';
    }
  }
  const app = (): Promise<INestApplication> =>
    serve({ imports: [ResilienceModule.forRoot(options())], controllers: [Routes] }, adapter);

  it('a time limit answers 504', async () => {
    const { status, body } = await throughWaits(lab, request(await app()).get('/slow'));
    expect({ status, body }).toEqual({
      status: 504,
      body: {
        statusCode: 504,
        error: 'Gateway Timeout',
        message: 'The service took too long to answer',
      },
    });
  });

  it('a full bulkhead answers 503 without Retry-After', async () => {
    const server = await app();
    const first = request(server)
      .get('/crowded')
      .then((response) => response.text);
    while (work.length === 0) await new Promise((resolve) => setImmediate(resolve));
    const { status, headers } = await request(server).get('/crowded');
    expect(status).toBe(503);
    expect(headers).not.toHaveProperty('retry-after');
    work[0]?.resolve('done');
    expect(await first).toBe('done');
  });

  it('a rate limit answers 429 with Retry-After in whole seconds, rounded up', async () => {
    const server = await app();
    await request(server).get('/often').expect(200, 'fine');
    lab.clock.jump(500);
    await request(server).get('/often').expect(429).expect('Retry-After', '90');
  });

  it('a fallback answers 200', async () => {
    await request(await app())
      .get('/cached')
      .expect(200, 'from memory');
  });
});

describe('R44: on a class', () => {
  it('each method has its own policy, unless a name or an object is shared', async () => {
    const rate = rateLimit({ limit: 1, interval: '1s' });
    @Bulkhead({ maxConcurrent: 1 })
    class Own {
      one(): Promise<string> {
        return begin();
      }
      other(): Promise<string> {
        return begin();
      }
    }
    @Bulkhead('pdf')
    class Named {
      one(): Promise<string> {
        return begin();
      }
      other(): Promise<string> {
        return begin();
      }
    }
    @RateLimit(rate)
    class ByHand {
      async one(): Promise<string> {
        return 'fine';
      }
      async other(): Promise<string> {
        return 'fine';
      }
    }
    const own = await made(Own);
    void own.one();
    void own.other();
    expect(work).toHaveLength(2);
    const named = await made(Named);
    void named.one();
    await expect(named.other()).rejects.toMatchObject({ bulkheadName: 'pdf' });
    const byHand = await made(ByHand);
    await byHand.one();
    await expect(byHand.other()).rejects.toBeInstanceOf(RateLimitedError);
  });

  it.each<[string, ClassDecorator]>([
    ['TimeLimit', TimeLimit('1s')],
    ['Bulkhead', Bulkhead()],
    ['RateLimit', RateLimit({ limit: 1, interval: 1 })],
    ['Fallback', Fallback(() => undefined)],
    ['Hedge', Hedge({ delay: 1 })],
  ])('@%s without a method of its own to protect is refused', (name, decorate) => {
    class Empty {
      readonly field = 1;
      get value(): number {
        return this.field;
      }
      onModuleInit(): void {
        /* a hook is no method to protect */
      }
      static make(): Empty {
        return new Empty();
      }
    }
    expect(() => decorate(Empty)).toThrow(
      `@${name}() on class Empty: it has no method of its own to protect`,
    );
  });

  it('@Fallback around only the method that it answers with is refused as well', () => {
    class Only {
      cached(): string {
        return 'cached';
      }
    }
    expect(() => Fallback('cached')(Only)).toThrow(
      '@Fallback() on class Only: it has no method of its own to protect',
    );
  });
});

describe('@InjectPolicy', () => {
  it('gives what @Resilient uses, with execute and a signal of the caller', async () => {
    @Injectable()
    class Client {
      constructor(@InjectPolicy('quick') readonly policy: Policy) {}
      @InjectPolicy('quick') readonly onProperty!: Policy;
    }
    const client = await made(Client, {
      policies: { quick: { timeLimit: 50, fallback: fallback(() => 'instead') } },
    });
    expect(client.onProperty).toBe(client.policy);
    expect(await lab.resultOf(client.policy.execute(begin))).toBe('instead');
    const controller = new AbortController();
    const outcome = settled(client.policy.execute(begin, { signal: controller.signal }));
    controller.abort(down);
    expect(await outcome).toEqual({ error: down });
  });
});
