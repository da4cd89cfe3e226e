import 'reflect-metadata';
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import {
  BadRequestException,
  type INestApplication,
  type Provider,
  UseFilters,
  UseInterceptors,
} from '@nestjs/common';
import { APP_INTERCEPTOR } from '@nestjs/core';
import {
  Field,
  GraphQLModule,
  Mutation,
  ObjectType,
  Parent,
  Query,
  ResolveField,
  Resolver,
  Subscription,
} from '@nestjs/graphql';
import {
  BulkheadRejectedError,
  CircuitBreakerError,
  CircuitBreakerRegistry,
  CircuitProtected,
  RateLimitedError,
  ResilienceExceptionFilter,
  ResilienceInterceptor,
  ResilienceModule,
  type ResilienceModuleOptions,
  Retry,
  RetryExhaustedError,
  TimeoutError,
  currentAttempt,
  remainingTime,
} from 'nestjs-bulwark';
import { createClient } from 'graphql-ws';
import { Readable } from 'node:stream';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Observable, defer, of } from 'rxjs';
import { WebSocket } from 'ws';
import { Lab, down } from '../support/lab.js';
import {
  ADAPTERS,
  type Adapter,
  closeAll,
  request,
  serve,
  throughWaits,
} from './support/applications.js';

const SECRET = 'internal-payments';
const HEADER = 'x-request-timeout-ms';

let lab: Lab;
let tries: number;
let failures: number;
let thrown: unknown;
beforeEach(() => {
  lab = new Lab();
  tries = 0;
  failures = 0;
});
afterEach(closeAll);

function attempt(): string {
  tries++;
  if (failures-- > 0) throw down;
  return `attempt ${String(currentAttempt())}`;
}

@ObjectType()
class Product {
  @Field(() => String)
  id!: string;
}

@ObjectType()
class Deadlines {
  @Field(() => String)
  first!: string;
}

@Resolver(() => Product)
class Catalog {
  @Query(() => String)
  @UseInterceptors(ResilienceInterceptor('catalog'))
  plain(): string {
    return attempt();
  }
  @Query(() => String)
  @UseInterceptors(ResilienceInterceptor('catalog'))
  async promise(): Promise<string> {
    return attempt();
  }
  @Query(() => String)
  @UseInterceptors(ResilienceInterceptor('catalog'))
  observable(): Observable<string> {
    return defer(() => of(attempt()));
  }
  @Mutation(() => String)
  @UseInterceptors(ResilienceInterceptor('catalog'))
  async mutation(): Promise<string> {
    return attempt();
  }
  @Retry('api')
  @CircuitProtected('stock')
  @Query(() => String)
  async decorated(): Promise<string> {
    return attempt();
  }

  @Query(() => Product)
  product(): Product {
    return { id: 'p1' };
  }
  @ResolveField(() => String)
  @UseInterceptors(ResilienceInterceptor('catalog'))
  async intercepted(@Parent() { id }: Product): Promise<string> {
    return `${id}: ${attempt()}`;
  }
  @ResolveField(() => String, { nullable: true })
  @Retry('api')
  @CircuitProtected('stock')
  async price(@Parent() { id }: Product): Promise<string> {
    return `${id}: ${attempt()}`;
  }

  @Query(() => String)
  async fails(): Promise<never> {
    throw thrown;
  }
  @Query(() => String)
  @UseFilters(ResilienceExceptionFilter)
  async filtered(): Promise<never> {
    throw thrown;
  }
}

interface Answer {
  readonly data: Record<string, unknown> | null;
  readonly errors?: readonly { message: string; extensions: object; path: unknown }[];
}

/** Where the application runs, and options of Apollo's module. */
interface Setup extends Partial<ApolloDriverConfig> {
  readonly providers?: Provider[];
  readonly adapter?: Adapter;
}

function served(
  options: ResilienceModuleOptions = {},
  { providers = [Catalog], adapter = 'Express', ...graphql }: Setup = {},
): Promise<INestApplication> {
  return serve(
    {
      imports: [
        ResilienceModule.forRoot({
          circuitBreakers: { stock: { failureThreshold: 2 } },
          retries: { api: { maxAttempts: 3 } },
          policies: { catalog: { circuitBreaker: 'stock', retry: 'api' } },
          runtime: lab.runtime,
          ...options,
        }),
        GraphQLModule.forRoot<ApolloDriverConfig>({
          driver: ApolloDriver,
          autoSchemaFile: true,
          fieldResolverEnhancers: ['interceptors', 'filters'],
          ...graphql,
        }),
      ],
      providers,
    },
    adapter,
  );
}

async function ask(app: INestApplication, query: string, headers = {}): Promise<Answer> {
  const sent = request(app).post('/graphql').set(headers).send({ query });
  return (await throughWaits(lab, sent)).body as Answer;
}

describe.each(ADAPTERS)('GraphQL on %s', (adapter) => {
  it.each([
    ['a query that returns a value', '{ it: plain }', 'attempt 2'],
    ['a query that returns a promise', '{ it: promise }', 'attempt 2'],
    ['a query that returns an Observable', '{ it: observable }', 'attempt 2'],
    ['a mutation', 'mutation { it: mutation }', 'attempt 2'],
    ['a decorated query', '{ it: decorated }', 'attempt 2'],
    ['a field', '{ it: product { id intercepted } }', { id: 'p1', intercepted: 'p1: attempt 2' }],
    ['R42: a decorated field', '{ it: product { price } }', { price: 'p1: attempt 2' }],
  ])('runs %s again that fails', async (_what, query, expected) => {
    const app = await served({}, { adapter });
    failures = 1;
    expect(await ask(app, query)).toEqual({ data: { it: expected } });
    expect(tries).toBe(2);
    expect(app.get(CircuitBreakerRegistry).get('stock').stats).toMatchObject({
      failedCalls: 1,
      successfulCalls: 1,
    });
  });

  it('an open circuit is an error of its field alone, which names no breaker', async () => {
    const app = await served({ circuitBreakers: { stock: { failureThreshold: 1 } } }, { adapter });
    failures = 1;
    await ask(app, '{ decorated }');
    const { data, errors } = await ask(app, '{ product { id price } }');
    expect(data).toEqual({ product: { id: 'p1', price: null } });
    expect(errors).toEqual([
      {
        message: 'The service is temporarily unavailable',
        path: ['product', 'price'],
        locations: expect.anything() as unknown,
        extensions: { code: 'CIRCUIT_OPEN', retryAfter: 30_000 },
      },
    ]);
    expect(tries).toBe(1);
  });
});

describe('an error of this library in a GraphQL answer', () => {
  const open = new CircuitBreakerError(SECRET, { remainingTimeout: 1500 });
  const exhausted = (lastException: unknown): Error =>
    new RetryExhaustedError({ attempts: 3, lastException });
  const unavailable = 'The service is temporarily unavailable';
  const exhaustedCode = { code: 'RETRY_EXHAUSTED' };

  it.each([
    ['an open circuit', open, unavailable, { code: 'CIRCUIT_OPEN', retryAfter: 2000 }],
    ['a full bulkhead', new BulkheadRejectedError(SECRET), unavailable, { code: 'BULKHEAD_FULL' }],
    [
      'a rate limit',
      new RateLimitedError(SECRET, { retryAfter: 900 }),
      'Too many requests',
      { code: 'RATE_LIMITED', retryAfter: 1000 },
    ],
    [
      'a time limit',
      new TimeoutError(5),
      'The service took too long to answer',
      { code: 'TIMEOUT' },
    ],
    ['exhausted, of an Error', exhausted(new Error(SECRET)), unavailable, exhaustedCode],
    [
      'exhausted, of an open circuit',
      exhausted(open),
      unavailable,
      { ...exhaustedCode, retryAfter: 2000 },
    ],
    [
      'exhausted, of an HttpException',
      exhausted(new BadRequestException('no id')),
      'no id',
      exhaustedCode,
    ],
    [
      'exhausted, of an HttpException with two messages',
      exhausted(new BadRequestException(['no id', 'no name'])),
      'no id, no name',
      exhaustedCode,
    ],
    [
      'exhausted, of an HttpException without a message',
      exhausted(new BadRequestException({ why: 1 })),
      'Bad Request',
      exhaustedCode,
    ],
  ])('%s', async (_what, error, message, extensions) => {
    const app = await served();
    thrown = error;
    const answer = await ask(app, '{ fails }');
    expect(answer.errors).toMatchObject([{ message, extensions, path: ['fails'] }]);
    expect(answer.errors?.[0]?.extensions).toEqual(extensions);
    expect(JSON.stringify(answer)).not.toContain(SECRET);
  });

  it('other errors are left to Nest', async () => {
    const app = await served();
    thrown = new BadRequestException('no');
    expect((await ask(app, '{ fails }')).errors).toMatchObject([
      { message: 'no', extensions: { code: 'BAD_REQUEST' } },
    ]);
  });

  it('mapErrors: false passes the error on, but where the filter stands on a resolver', async () => {
    const app = await served({ http: { mapErrors: false } });
    thrown = open;
    expect((await ask(app, '{ fails }')).errors).toMatchObject([{ message: open.message }]);
    expect((await ask(app, '{ filtered }')).errors).toMatchObject([
      { message: unavailable, extensions: { code: 'CIRCUIT_OPEN', retryAfter: 2000 } },
    ]);
  });
});

describe('the deadline header of a GraphQL request', () => {
  const left = (): string => String(remainingTime());

  @Resolver(() => Deadlines)
  class Timed {
    @Query(() => Deadlines)
    deadlines(): Deadlines {
      const first = left();
      lab.clock.jump(30);
      return { first };
    }
    @ResolveField(() => String)
    second(): string {
      return left();
    }
    @Query(() => String)
    hangs(): Promise<never> {
      tries++;
      return new Promise(() => undefined);
    }
  }
  const app = (setup: Setup = {}): Promise<INestApplication> =>
    served({}, { providers: [Timed, globalInterceptor], ...setup });
  const globalInterceptor = {
    provide: APP_INTERCEPTOR,
    useClass: ResilienceInterceptor({ circuitBreaker: {} }),
  };
  const query = '{ deadlines { first second } }';

  it.each(ADAPTERS)('counts from the first resolver of the request, on %s', async (adapter) => {
    const { data } = await ask(await app({ adapter }), query, { [HEADER]: '250' });
    expect(data).toEqual({ deadlines: { first: '250', second: '220' } });
  });

  it('a spent deadline ends what begins after it', async () => {
    const { data, errors } = await ask(await app(), query, { [HEADER]: '30' });
    expect(data).toBeNull();
    expect(errors).toMatchObject([
      { path: ['deadlines', 'second'], extensions: { code: 'TIMEOUT' } },
    ]);
  });

  it('is none without the header', async () => {
    const { data } = await ask(await app(), query);
    expect(data).toEqual({ deadlines: { first: 'undefined', second: 'undefined' } });
  });

  it('ends a call with an error that says so', async () => {
    const answer = request(await app())
      .post('/graphql')
      .set(HEADER, '250')
      .send({ query: '{ hangs }' })
      .then(({ body }) => body as Answer);
    while (tries === 0) await nextTurn();
    await lab.clock.advance(250);
    expect((await answer).errors).toMatchObject([{ extensions: { code: 'TIMEOUT' } }]);
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('is found where the application makes a context of its own', async () => {
    const context = (): object => ({ tenant: 'acme' });
    const { data } = await ask(await app({ context }), query, { [HEADER]: '250' });
    expect(data).toMatchObject({ deadlines: { first: '250' } });
  });
});

describe('GraphQL over a WebSocket', () => {
  @Resolver()
  class Ticks {
    @Query(() => String)
    @UseInterceptors(ResilienceInterceptor('catalog'))
    left(): string {
      return String(remainingTime());
    }
    @Subscription(() => String)
    @UseInterceptors(ResilienceInterceptor('catalog'))
    intercepted(): AsyncIterable<{ intercepted: string }> {
      return Readable.from([{ intercepted: attempt() }, { intercepted: 'second' }]);
    }
    @Retry('api')
    @CircuitProtected('stock')
    @Subscription(() => String)
    async *decorated(): AsyncGenerator<{ decorated: string }> {
      yield { decorated: attempt() };
      yield { decorated: 'second' };
    }
  }

  const subscribe = async (query: string, headers = {}): Promise<unknown[]> => {
    const app = await served(
      {},
      {
        providers: [Ticks],
        subscriptions: { 'graphql-ws': true },
        context: ({ extra }: { extra: { request: unknown } }) => ({ req: extra.request }),
      },
    );
    await app.listen(0, '127.0.0.1');
    class Client extends WebSocket {
      constructor(url: string, protocol: string) {
        super(url, protocol, { headers });
      }
    }
    const url = `${(await app.getUrl()).replace('http', 'ws')}/graphql`;
    const client = createClient({ url, webSocketImpl: Client, retryAttempts: 0 });
    const items: unknown[] = [];
    const all = async (): Promise<void> => {
      for await (const item of client.iterate({ query })) items.push(item);
    };
    await throughWaits(lab, all());
    await client.dispose();
    return items;
  };

  it('a decorated subscription begins again where it fails before the first item', async () => {
    failures = 1;
    expect(await subscribe('subscription { decorated }')).toEqual([
      { data: { decorated: 'attempt 2' } },
      { data: { decorated: 'second' } },
    ]);
  });

  it('an intercepted subscription begins again where it cannot be opened', async () => {
    failures = 1;
    expect(await subscribe('subscription { intercepted }')).toEqual([
      { data: { intercepted: 'attempt 2' } },
      { data: { intercepted: 'second' } },
    ]);
  });

  it('a deadline header of the handshake is none of what follows', async () => {
    const items = await subscribe('{ left }', { [HEADER]: '250' });
    expect(items).toEqual([{ data: { left: 'undefined' } }]);
  });
});
