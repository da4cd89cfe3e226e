import 'reflect-metadata';
import { readdirSync, readFileSync } from 'node:fs';
import { Controller, Get, type INestApplication, type Type } from '@nestjs/common';
import { HealthCheckService, TerminusModule } from '@nestjs/terminus';
import {
  CircuitBreaker,
  CircuitBreakerRegistry,
  CircuitProtected,
  type HealthCheckOptions,
  ResilienceHealthIndicator,
  ResilienceModule,
} from 'nestjs-bulwark';
import { Lab, down, play, settled } from '../support/lab.js';
import { closeAll, request, serve, start } from './support/applications.js';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(closeAll);

const resilience = (): Type =>
  ResilienceModule.forRoot({
    circuitBreakers: {
      payments: { failureThreshold: 2, recoveryTimeout: '30s' },
      stock: { failureThreshold: 2, recoveryTimeout: '30s' },
    },
    runtime: lab.runtime,
  }) as never;

async function indicator(): Promise<{
  health: ResilienceHealthIndicator;
  breakers: CircuitBreakerRegistry;
}> {
  const app = await start({ imports: [resilience()] });
  return { health: app.get(ResilienceHealthIndicator), breakers: app.get(CircuitBreakerRegistry) };
}

const fine = { state: 'closed', consecutiveFailures: 0, failedCalls: 0 };

describe('R51: the health of breakers', () => {
  it.each<[string, string, object, object]>([
    ['idle', '', { status: 'up' }, fine],
    ['one failure', 'sf', { status: 'up' }, { ...fine, consecutiveFailures: 1, failedCalls: 1 }],
    [
      'open',
      'ff',
      { status: 'down' },
      { state: 'open', remainingTimeout: 30_000, consecutiveFailures: 2, failedCalls: 2 },
    ],
    [
      'open, past its recovery time',
      'ffw',
      { status: 'up', degraded: true },
      { state: 'open', remainingTimeout: 0, consecutiveFailures: 2, failedCalls: 2 },
    ],
    [
      'half-open',
      'ffws',
      { status: 'up', degraded: true },
      expect.objectContaining({ state: 'half_open', failedCalls: 2 }) as object,
    ],
    [
      'open again',
      'ffwf',
      { status: 'down' },
      expect.objectContaining({
        state: 'open',
        remainingTimeout: 30_000,
        failedCalls: 3,
      }) as object,
    ],
    ['recovered', 'ffwss', { status: 'up' }, { ...fine, failedCalls: 2 }],
  ])('%s (%s)', async (_title, history, verdict, payments) => {
    const { health, breakers } = await indicator();
    await play(breakers.get('payments'), history, lab);
    expect(health.check()).toEqual({
      resilience: { ...verdict, breakers: { payments, stock: fine } },
    });
  });

  it('isolated and disabled are up: somebody wants it so', async () => {
    const { health, breakers } = await indicator();
    breakers.get('payments').isolate();
    breakers.get('stock').disable();
    expect(health.check().resilience).toMatchObject({
      status: 'up',
      breakers: { payments: { state: 'isolated' }, stock: { state: 'disabled' } },
    });
  });

  it.each<[string, HealthCheckOptions, string, string[]]>([
    ['all', {}, 'down', ['payments', 'stock']],
    ['the open one', { breakers: ['payments'] }, 'down', ['payments']],
    ['the other one', { breakers: ['stock'] }, 'up', ['stock']],
    ['none', { breakers: [] }, 'up', []],
    ['all, failing never', { failOn: 'never' }, 'up', ['payments', 'stock']],
    ['all, failing when open', { failOn: 'open' }, 'down', ['payments', 'stock']],
  ])('looks at %s', async (_title, options, status, names) => {
    const { health, breakers } = await indicator();
    await play(breakers.get('payments'), 'ff', lab);
    const { custom } = health.check('custom', options);
    expect(custom.status).toBe(status);
    expect(Object.keys(custom.breakers)).toEqual(names);
  });

  it('failOn: never still shows what is degraded', async () => {
    const { health, breakers } = await indicator();
    await play(breakers.get('payments'), 'ffw', lab);
    expect(health.check('resilience', { failOn: 'never' }).resilience.degraded).toBe(true);
  });

  it('an unknown name is refused', async () => {
    const { health } = await indicator();
    expect(() => health.check('resilience', { breakers: ['paymets'] })).toThrow(
      'circuit breaker "paymets" is not configured (known: payments, stock); did you mean "payments"?',
    );
  });

  it.each<[unknown, string]>([
    [{ breaker: ['payments'] }, '.breaker is not a known option; did you mean "breakers"?'],
    [{ breakers: 'payments' }, '.breakers must be a list of names, got "payments"'],
    [
      { failOn: 'nevr' },
      '.failOn must be one of "open", "never" – did you mean "never"?, got "nevr"',
    ],
  ])('options like %j are refused', async (options, message) => {
    const { health } = await indicator();
    expect(() => health.check('all', options as HealthCheckOptions)).toThrow(
      `ResilienceHealthIndicator.check()${message}`,
    );
  });

  it('looking changes nothing', async () => {
    const { health, breakers } = await indicator();
    await play(breakers.get('payments'), 'ffw', lab);
    const before = breakers.get('payments').snapshot();
    health.check();
    expect(breakers.get('payments').snapshot()).toEqual(before);
  });

  it('breakers of decorators without a name are seen as well', async () => {
    class Orders {
      @CircuitProtected()
      async charge(): Promise<void> {
        /* charged */
      }
    }
    const app = await start({ imports: [resilience()], providers: [Orders] });
    const { resilience: seen } = app.get(ResilienceHealthIndicator).check();
    expect(Object.keys(seen.breakers).toSorted()).toEqual(['Orders.charge', 'payments', 'stock']);
  });
});

describe('R51: over HTTP', () => {
  @Controller('health')
  class WithTerminus {
    constructor(
      private readonly health: HealthCheckService,
      private readonly indicator: ResilienceHealthIndicator,
    ) {}
    @Get()
    check(): Promise<unknown> {
      return this.health.check([
        () => this.indicator.check('circuits', { breakers: ['payments'] }),
      ]);
    }
  }
  @Controller('health')
  class Alone {
    constructor(private readonly indicator: ResilienceHealthIndicator) {}
    @Get()
    check(): unknown {
      return this.indicator.check();
    }
  }
  const withTerminus = (): Promise<INestApplication> =>
    serve({
      imports: [resilience(), TerminusModule.forRoot({ logger: false })],
      controllers: [WithTerminus],
    });

  it.each([
    ['closed', '', 200, 'ok', 'up'],
    ['open', 'ff', 503, 'error', 'down'],
    ['open, past its recovery time', 'ffw', 200, 'ok', 'up'],
    ['closed again', 'ffwss', 200, 'ok', 'up'],
  ])('terminus answers while %s', async (_title, history, status, verdict, state) => {
    const app = await withTerminus();
    await play(app.get(CircuitBreakerRegistry).get('payments'), history, lab);
    const response = await request(app).get('/health').expect(status);
    expect(response.body).toMatchObject({
      status: verdict,
      details: { circuits: { status: state, breakers: { payments: {} } } },
    });
  });

  it('a plain controller answers without terminus', async () => {
    const app = await serve({ imports: [resilience()], controllers: [Alone] });
    await play(app.get(CircuitBreakerRegistry).get('payments'), 'ff', lab);
    const response = await request(app).get('/health').expect(200);
    expect(response.body).toMatchObject({
      resilience: { status: 'down', breakers: { payments: { state: 'open' }, stock: fine } },
    });
  });
});

describe('R51: terminus is not needed', () => {
  it('no file of the library imports it', () => {
    const files = readdirSync('lib', { recursive: true, encoding: 'utf8' }).filter((name) =>
      name.endsWith('.ts'),
    );
    expect(files.length).toBeGreaterThan(30);
    const importing = files.filter((name) =>
      /(?:from|import)\s*\(?\s*['"]@nestjs\/terminus/.test(readFileSync(`lib/${name}`, 'utf8')),
    );
    expect(importing).toEqual([]);
  });
});

describe('R51: breakers that need more than a row', () => {
  it('R72: a keyed family is one bounded summary, and one key never takes the instance down', async () => {
    const { health, breakers } = await indicator();
    const family = breakers.keyed('payments');
    family.for('good');
    await play(family.for('bad'), 'ff', lab);
    expect(health.check().resilience).toMatchObject({
      status: 'up',
      degraded: true,
      keyed: {
        payments: { keys: 2, notClosed: { open: 1 }, examples: [{ key: 'bad', state: 'open' }] },
      },
    });
    expect(health.check('resilience', { breakers: ['stock'] }).resilience).not.toHaveProperty(
      'keyed',
    );
  });

  it('those of one name, of which some were made by hand, have a row each', async () => {
    const mine = new CircuitBreaker('payments', { failureThreshold: 1 }, lab);
    class Rows {
      @CircuitProtected(mine) load(): Promise<never> {
        return Promise.reject(down);
      }
      @CircuitProtected(new CircuitBreaker('payments')) async save(): Promise<void> {}
      @CircuitProtected('payments') async find(): Promise<void> {}
    }
    const app = await start({ imports: [resilience()], providers: [Rows] });
    await settled(app.get(Rows).load());
    const health = app.get(ResilienceHealthIndicator);
    const { status, breakers } = health.check().resilience;
    expect(status).toBe('down');
    expect(Object.entries(breakers).map(([name, { state }]) => [name, state])).toEqual([
      ['payments', 'closed'],
      ['stock', 'closed'],
      ['payments (2)', 'open'],
      ['payments (3)', 'closed'],
    ]);
    const selected = health.check('all', { breakers: ['payments', 'payments'] }).all;
    expect(selected).toEqual({ status: 'up', breakers: { payments: fine } });
  });

  it('R73: a shadow breaker that would be open rejects nothing, so it is not down', async () => {
    const { health, breakers } = await indicator();
    breakers.configure({ payments: { mode: 'shadow' } });
    await play(breakers.get('payments'), 'ff', lab);
    expect(breakers.get('payments').state).toBe('open');
    expect(health.check().resilience.status).toBe('up');
  });
});
