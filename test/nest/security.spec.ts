import 'reflect-metadata';
import { type AddressInfo, type Server, connect } from 'node:net';
import { Controller, Get, type INestApplication, Param, UseInterceptors } from '@nestjs/common';
import {
  CircuitBreakerRegistry,
  CircuitProtected,
  type ResilienceConfigError,
  ResilienceInterceptor,
  ResilienceModule,
  type ResilienceModuleOptions,
  RetryExhaustedError,
  remainingTime,
} from 'nestjs-bulwark';
import { Lab, down, thrownBy } from '../support/lab.js';
import {
  ADAPTERS,
  type Adapter,
  closeAll,
  request,
  serve,
  startUpIssues,
} from './support/applications.js';

afterEach(closeAll);

let thrown: () => unknown;

@Controller()
class Routes {
  /** What is left of the caller's deadline. */
  @Get('left')
  @UseInterceptors(ResilienceInterceptor({ bulkhead: {} }))
  left(): { left: number | null } {
    return { left: remainingTime() ?? null };
  }

  @Get('fail')
  fail(): never {
    throw thrown();
  }

  @Get('tenants/:tenant')
  @CircuitProtected('tenants', { key: (tenant: string) => tenant })
  async tenant(@Param('tenant') tenant: string): Promise<string> {
    if (tenant.startsWith('ailing')) throw down;
    return 'fine';
  }
}

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});

function application(
  adapter: Adapter,
  options: ResilienceModuleOptions = {},
): Promise<INestApplication> {
  const circuitBreakers = { tenants: { failureThreshold: 1, maxKeys: 3 } };
  const resilience = ResilienceModule.forRoot({
    circuitBreakers,
    runtime: lab.runtime,
    ...options,
  });
  return serve({ imports: [resilience], controllers: [Routes] }, adapter);
}

describe.each(ADAPTERS)('the deadline header over %s', (adapter) => {
  it.each([
    ['a usable one', '1500', 1500],
    ['zeros in front', '000001500', 1500],
    ['one above maxDeadline', '999999999', 60_000],
    ['one of ten digits', '9999999999', null],
    ['zero', '0', null],
    ['a negative one', '-5', null],
    ['a sign', '+5', null],
    ['a fraction', '1.5', null],
    ['an exponent', '1e3', null],
    ['a hexadecimal one', '0x10', null],
    ['a unit', '5s', null],
    ['no number', 'NaN', null],
    ['infinity', 'Infinity', null],
    ['nothing', '', null],
    ['a list', '100, 200', null],
    ['two headers', ['100', '200'], null],
    ['a pollution', '__proto__', null],
    ['8,000 digits', '9'.repeat(8000), null],
    ['8,000 digits and a letter', `${'9'.repeat(8000)}x`, null],
    ['Latin-1 digits', '\u00b2\u00b3', null],
  ])('%s is cut or not taken', async (_kind, value, left) => {
    const server = await application(adapter);
    const began = performance.now();
    const answer = await request(server)
      .get('/left')
      .set('x-request-timeout-ms', value as string);
    expect([answer.status, answer.body]).toEqual([200, { left }]);
    expect(performance.now() - began).toBeLessThan(2000);
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('too long for Node never reaches the application', async () => {
    const server = await application(adapter);
    const answer = await rawAnswer(server, `x-request-timeout-ms: ${'9'.repeat(20_000)}`);
    expect(answer).toMatch(/^HTTP\/1.1 431 /);
  });

  it('is not read where it is switched off', async () => {
    const server = await application(adapter, { http: { deadlineHeader: false } });
    const answer = await request(server).get('/left').set('x-request-timeout-ms', '1');
    expect(answer.body).toEqual({ left: null });
  });
});

describe.each(ADAPTERS)('what a dependency says of its failure, over %s', (adapter) => {
  const SECRET = 'postgres://admin:hunter2@10.0.0.7/ledger\r\nset-cookie: a=b';
  const cyclic = new Error('first');
  cyclic.cause = new Error('second', { cause: cyclic });
  let endless: Error = new Error(SECRET);
  for (let depth = 0; depth < 1000; depth++) endless = exhausted(endless);
  const trap = (): never => {
    throw new Error('a trap');
  };

  it.each<[string, unknown]>([
    ['a secret', new Error(SECRET)],
    ['a secret name', Object.assign(new Error('down'), { name: SECRET, code: SECRET })],
    ['headers', Object.assign(new Error(SECRET), { headers: { 'retry-after': SECRET } })],
    ['a status of its own', Object.assign(new Error(SECRET), { status: 418, statusCode: 418 })],
    ['the status of an exception', { getStatus: () => 200, getResponse: () => SECRET }],
    ['a circle of causes', cyclic],
    ['a thousand exhausted retries', endless],
    ['getters that throw', Object.defineProperty(new Error(SECRET), 'message', { get: trap })],
    ['a proxy that throws', new Proxy(new Error(SECRET), new Proxy({}, { get: () => trap }))],
    ['a revoked proxy', revoked()],
    ['a frozen error', Object.freeze(new Error(SECRET))],
    ['an object without a prototype', Object.create(null)],
    ['a symbol', Symbol(SECRET)],
    ['a string', SECRET],
    ['nothing', undefined],
  ])('%s is not told to the client', async (_kind, cause) => {
    thrown = () => exhausted(cause);
    const answer = await request(await application(adapter)).get('/fail');
    expect([answer.status, answer.body]).toEqual([
      503,
      {
        statusCode: 503,
        message: 'The service is temporarily unavailable',
        error: 'Service Unavailable',
      },
    ]);
    expect(answer.headers).not.toHaveProperty('retry-after');
    expect(answer.headers).not.toHaveProperty('set-cookie');
  });
});

describe.each(ADAPTERS)('keys from a path over %s', (adapter) => {
  it('trip only their own circuit, and keep no more than maxKeys of them', async () => {
    const server = await application(adapter);
    const statusOf = async (tenant: string): Promise<number> =>
      (await request(server).get(`/tenants/${tenant}`)).status;
    for (let tenant = 0; tenant < 20; tenant++) {
      expect(await statusOf(`ailing-${String(tenant)}`)).toBe(500);
    }
    expect(await statusOf('ailing-19')).toBe(503);
    for (const tenant of ['fine', '__proto__', 'constructor', 'x'.repeat(90), '%0a%00']) {
      expect(await statusOf(tenant)).toBe(200);
    }
    const family = server.get(CircuitBreakerRegistry).keyed('tenants');
    expect(family.summary().keys).toBe(3);
    expect(server.get(CircuitBreakerRegistry).names).toEqual(['tenants']);
  });
});

describe('module options from outside', () => {
  const poison = (key: string): object =>
    JSON.parse(`{"${key}":{"__proto__":{"polluted":true}}}`) as object;

  it.each(['http', 'events', 'defaults', 'runtime'])(
    'with a prototype under "%s" are refused and pollute none',
    async (key) => {
      const issues = await startUpIssues({ imports: [ResilienceModule.forRoot(poison(key))] });
      expect(issues).toEqual([expect.stringContaining('__proto__ is not a known option')]);
      expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    },
  );

  it.each([
    'circuitBreakers',
    'retries',
    'bulkheads',
    'rateLimits',
    'hedges',
    'budgets',
    'policies',
  ])('with a name "__proto__" under "%s" are read as a name, and pollute none', async (key) => {
    const issues = await startUpIssues({ imports: [ResilienceModule.forRoot(poison(key))] });
    expect(issues.join()).toMatch(/__proto__\)\.polluted is not a/);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
  });

  it('make no more than one line of a name that nobody configured', async () => {
    const registry = (await application('Express')).get(CircuitBreakerRegistry);
    const { issues } = thrownBy(() => registry.get('a\nb')) as ResilienceConfigError;
    expect(issues).toEqual([expect.stringContaining('"a\\u000ab" is not configured')]);
  });
});

function exhausted(lastException: unknown): RetryExhaustedError {
  return new RetryExhaustedError({ attempts: 3, lastException });
}

function revoked(): object {
  const { proxy, revoke } = Proxy.revocable(new Error('gone'), {});
  revoke();
  return proxy;
}

/** The answer to a request that no client library would send. */
async function rawAnswer(server: INestApplication, header: string): Promise<string> {
  await server.listen(0, '127.0.0.1');
  const { port } = (server.getHttpServer() as Server).address() as AddressInfo;
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let answer = '';
    socket.setEncoding('latin1');
    socket.on('data', (part: string) => (answer += part));
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
    socket.write(`GET /left HTTP/1.1\r\nhost: localhost\r\n${header}\r\nconnection: close\r\n\r\n`);
  });
}
