import 'reflect-metadata';
import type { Type } from '@nestjs/common';
import {
  CircuitBreaker,
  CircuitBreakerRegistry,
  CircuitProtected,
  type DefaultOptions,
  ResilienceConfigError,
  ResilienceModule,
  Retry,
} from 'nestjs-bulwark';
import { Observable, lastValueFrom, of, throwError } from 'rxjs';
import { Lab, down, settled, thrownBy } from '../support/lab.js';
import { closeAll, start, startUpIssues } from './support/applications.js';

let lab: Lab;
let registry: CircuitBreakerRegistry;
beforeEach(() => {
  lab = new Lab();
});
afterEach(closeAll);

async function made<T>(type: Type<T>, defaults: DefaultOptions = {}): Promise<T> {
  const app = await start({
    imports: [
      ResilienceModule.forRoot({
        circuitBreakers: {
          'tenant-api': { failureThreshold: 1, recoveryTimeout: '10s', maxKeys: 2 },
          other: { failureThreshold: 3 },
        },
        defaults,
        runtime: lab.runtime,
      }),
    ],
    providers: [type],
  });
  registry = app.get(CircuitBreakerRegistry);
  return app.get(type);
}

class Tenants {
  @CircuitProtected('tenant-api', { key: (tenant: string) => tenant })
  async call(_tenant: string, fails = false): Promise<string> {
    if (fails) throw down;
    return 'fine';
  }
  @CircuitProtected('tenant-api', { key: (_amount: number, { id }: { id: string }) => id })
  async charge(amount: number, { id }: { id: string }): Promise<string> {
    return `${id} charged ${String(amount)}`;
  }
  @CircuitProtected('tenant-api', { key: (tenant: string) => tenant })
  plain(tenant: string): string {
    return tenant;
  }
  @CircuitProtected('tenant-api', { key: (tenant: string) => tenant })
  stream(_tenant: string, fails: boolean): Observable<string> {
    return fails ? throwError(() => down) : of('fine');
  }
  @CircuitProtected({ failureThreshold: 1 }, { key: (shard: number) => shard })
  async own(_shard: number, fails = false): Promise<string> {
    if (fails) throw down;
    return 'fine';
  }
  @CircuitProtected('tenant-api', {
    key: () => {
      throw new Error('no tenant');
    },
  })
  async unkeyed(): Promise<string> {
    return 'fine';
  }
  @Retry({ maxAttempts: 3, jitter: 0 })
  @CircuitProtected('tenant-api', { key: (tenant: string) => tenant })
  async retried(tenant: string): Promise<string> {
    throw new Error(`${tenant} is down`);
  }
}
const rejected = { error: { code: 'CIRCUIT_OPEN' } };
const fine = { value: 'fine' };

describe('R72: @CircuitProtected with a key', () => {
  it('one breaker for each key', async () => {
    const tenants = await made(Tenants);
    await settled(tenants.call('a', true));
    expect(await settled(tenants.call('a'))).toMatchObject(rejected);
    expect(await settled(tenants.call('b'))).toEqual(fine);
  });

  it('the family of a name is one for all methods, whatever argument holds the key', async () => {
    const tenants = await made(Tenants);
    await settled(tenants.call('a', true));
    expect(await settled(tenants.charge(5, { id: 'a' }))).toMatchObject(rejected);
    expect(await tenants.charge(5, { id: 'b' })).toBe('b charged 5');
    expect(tenants.plain('b')).toBe('b');
    expect(() => tenants.plain('a')).toThrow('"tenant-api[a]"');
    expect(registry.families).toEqual([registry.keyed('tenant-api'), expect.anything()]);
  });

  it('and the plain breaker of that name stands apart', async () => {
    const tenants = await made(Tenants);
    await settled(tenants.call('a', true));
    expect(registry.get('tenant-api').state).toBe('closed');
    expect(registry.keyed('tenant-api').for('a').state).toBe('open');
  });

  it('a stream has the key of its arguments', async () => {
    const tenants = await made(Tenants);
    await settled(lastValueFrom(tenants.stream('a', true)));
    expect(await settled(lastValueFrom(tenants.stream('a', false)))).toMatchObject(rejected);
    expect(await lastValueFrom(tenants.stream('b', false))).toBe('fine');
  });

  it('options make a family of its own, of numbers as well', async () => {
    const tenants = await made(Tenants);
    await settled(tenants.own(1, true));
    expect(await settled(tenants.own(1))).toMatchObject({
      error: { breakerName: 'Tenants.own[1]' },
    });
    expect(await settled(tenants.own(2))).toEqual(fine);
  });

  it('a key that throws is logged, and the call goes to the breaker of the empty key', async () => {
    const tenants = await made(Tenants);
    expect(await tenants.unkeyed()).toBe('fine');
    expect(lab.logger.errors).toHaveLength(1);
    expect(registry.keyed('tenant-api').for('').stats.successfulCalls).toBe(1);
  });

  it('inside a retry an open circuit ends the retries of that key', async () => {
    const tenants = await made(Tenants);
    expect(await lab.errorOf(tenants.retried('a'))).toMatchObject({ code: 'CIRCUIT_OPEN' });
    expect(registry.keyed('tenant-api').for('a').stats).toMatchObject({ failedCalls: 1 });
  });

  it('keeps at most maxKeys, and closed ones go first', async () => {
    const tenants = await made(Tenants);
    await settled(tenants.call('open', true));
    for (const tenant of ['b', 'c', 'd']) await tenants.call(tenant);
    expect(registry.keyed('tenant-api').size).toBe(2);
    expect(await settled(tenants.call('open'))).toMatchObject(rejected);
  });

  it('R85: its timings are of all its methods, by defaults too', async () => {
    const tenants = await made(Tenants, { timings: 'all' });
    await tenants.call('a');
    await tenants.charge(1, { id: 'b' });
    await tenants.own(1);
    const counts = registry.families.map(({ name, timings }) => [name, timings?.count]);
    expect(counts).toEqual([
      ['tenant-api', 2],
      ['Tenants.own', 1],
    ]);
  });

  it('R32: two applications do not share a family', async () => {
    const [one, other] = [await made(Tenants), await made(Tenants)];
    await settled(one.call('a', true));
    expect(await settled(other.call('a'))).toEqual(fine);
  });

  it('R31: an unknown name stops the start, and the registry refuses it', async () => {
    class Unknown {
      @CircuitProtected('tenant', { key: (tenant: string) => tenant })
      async call(tenant: string): Promise<string> {
        return tenant;
      }
    }
    const issues = await startUpIssues({
      imports: [ResilienceModule.forRoot({ circuitBreakers: { 'tenant-api': {} } })],
      providers: [Unknown],
    });
    expect(issues).toEqual([
      'Unknown.call: circuit breaker "tenant" is not configured (known: tenant-api)',
    ]);
    await made(Tenants);
    expect(() => registry.keyed('othr')).toThrow('did you mean "other"?');
  });

  it.each<[string, unknown, unknown, string]>([
    [
      'a key that is no function',
      'tenant-api',
      { key: 'tenant' },
      '@CircuitProtected(Client.call).key must be a function that returns a key (not async), got "tenant"',
    ],
    [
      'an async key',
      'tenant-api',
      { key: async (tenant: string) => tenant },
      '@CircuitProtected(Client.call).key must be a function that returns a key (not async), got function key',
    ],
    [
      'an option of another name',
      'tenant-api',
      { kye: (tenant: string) => tenant },
      '@CircuitProtected(Client.call).kye is not a known option; did you mean "key"?',
    ],
    [
      'something else than options',
      'tenant-api',
      'tenant',
      '@CircuitProtected(Client.call) must be an object of options, got "tenant"',
    ],
    [
      'a key for a breaker made by hand',
      new CircuitBreaker('by hand'),
      { key: (tenant: string) => tenant },
      'a key needs the name or the options of a circuit breaker',
    ],
  ])('R34: %s stops the start', async (_title, breaker, options, message) => {
    class Client {
      @CircuitProtected(breaker as never, options as never)
      async call(): Promise<void> {
        /* fine */
      }
    }
    const issues = await startUpIssues({
      imports: [ResilienceModule.forRoot({ circuitBreakers: { 'tenant-api': {} } })],
      providers: [Client],
    });
    expect(issues).toEqual([expect.stringContaining(message)]);
    expect(issues[0]).toContain('Client.call');
  });
});

describe('R75: CircuitBreakerRegistry.configure()', () => {
  it('changes configured breakers while they work; state and statistics stay', async () => {
    await made(Tenants);
    const other = registry.get('other');
    for (let each = 0; each < 2; each++) await settled(other.execute(() => Promise.reject(down)));
    registry.configure({ other: { failureThreshold: 5 } });
    for (let each = 0; each < 2; each++) await settled(other.execute(() => Promise.reject(down)));
    expect(other.state).toBe('closed');
    expect(other.stats).toMatchObject({ failedCalls: 4, consecutiveFailures: 4 });
    await settled(other.execute(() => Promise.reject(down)));
    expect(other.state).toBe('open');
  });

  it('is all or nothing, and tells every problem', async () => {
    await made(Tenants);
    const error = thrownBy(() =>
      registry.configure({
        other: { failureThreshold: 9 },
        'tenant-api': { failureThreshold: 0, recoveryTimeout: -1 },
        missing: {},
      }),
    ) as ResilienceConfigError;
    expect(error).toBeInstanceOf(ResilienceConfigError);
    expect(error.issues).toEqual([
      expect.stringContaining('.failureThreshold must be'),
      expect.stringContaining('.recoveryTimeout must be'),
      expect.stringContaining('circuit breaker "missing" is not configured'),
    ]);
    expect(registry.get('other').options.failureThreshold).toBe(3);
  });

  it('reaches the keys of that name, those to come as well', async () => {
    const tenants = await made(Tenants);
    await tenants.call('a');
    registry.configure({ 'tenant-api': { failureThreshold: 2 } });
    for (const tenant of ['a', 'b']) {
      await settled(tenants.call(tenant, true));
      expect(await settled(tenants.call(tenant))).toEqual(fine);
    }
  });
});
