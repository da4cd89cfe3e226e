/**
 * `{ breaker }` lets only events of circuit breakers through: with other types alone the method is never called. Nor was it
 * with the name of a breaker that is used by key.
 */
import { Injectable } from '@nestjs/common';
import {
  CircuitProtected,
  OnResilienceEvent,
  type ResilienceConfigError,
  type ResilienceEvent,
  type ResilienceEventType,
  ResilienceModule,
} from 'nestjs-bulwark';
import { settled } from '../support/lab.js';
import { closeAll, start } from '../nest/support/applications.js';

afterEach(closeAll);

const nothing =
  '@OnResilienceEvent(Pager.page): none of its types is of a circuit breaker, so { breaker: "payments" } ' +
  'lets nothing through; use { policy } for other policies';
const unknown =
  '@OnResilienceEvent(Pager.page): "retry.exhaustd" is not a type of event; did you mean "retry.exhausted"?';

it.each<[string, readonly string[], readonly string[]]>([
  ['one type of another policy', ['retry.exhausted'], [nothing]],
  ['several of them', ['retry.exhausted', 'bulkhead.rejected'], [nothing]],
  ['an unknown one', ['retry.exhaustd'], [unknown]],
  ['one of circuit breakers', ['breaker.opened'], []],
  ['some of both', ['retry.exhausted', 'breaker.rejected'], []],
  ['every type', ['*'], []],
])('with %s', async (_which, types, issues) => {
  @Injectable()
  class Pager {
    @OnResilienceEvent(types as ResilienceEventType[], { breaker: 'payments' })
    page(): void {
      // Nobody is paged here.
    }
  }
  const imports = [ResilienceModule.forRoot({ circuitBreakers: { payments: {} } })];
  const outcome = await settled(start({ imports, providers: [Pager] }));
  const told = 'error' in outcome ? (outcome.error as ResilienceConfigError).issues : [];
  expect(told).toEqual(issues);
});

it('the name of one that is used by key is for the breakers of all its keys', async () => {
  const heard: string[] = [];
  @Injectable()
  class Tenants {
    @CircuitProtected('tenants', { key: (tenant: string) => tenant })
    async load(tenant: string): Promise<string> {
      throw new Error(`${tenant} is down`);
    }
    @CircuitProtected('tenants2', { key: (tenant: string) => tenant })
    async other(tenant: string): Promise<string> {
      throw new Error(`${tenant} is down`);
    }
    @OnResilienceEvent('*', { breaker: 'tenants' })
    hear({ type, name }: ResilienceEvent): void {
      heard.push(`${type} ${name}`);
    }
  }
  const once = { failureThreshold: 1 };
  const circuitBreakers = { tenants: once, tenants2: once };
  const app = await start({
    imports: [ResilienceModule.forRoot({ circuitBreakers })],
    providers: [Tenants],
  });
  const tenants = app.get(Tenants);
  for (const tenant of ['acme', 'acme', 'duff']) await settled(tenants.load(tenant));
  await settled(tenants.other('acme'));
  expect(heard).toEqual([
    'breaker.opened tenants[acme]',
    'breaker.rejected tenants[acme]',
    'breaker.opened tenants[duff]',
  ]);
});
