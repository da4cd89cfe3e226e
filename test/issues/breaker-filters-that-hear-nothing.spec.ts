/** `{ breaker }` lets only events of circuit breakers through: with other types alone the method is never called. */
import { Injectable } from '@nestjs/common';
import {
  OnResilienceEvent,
  type ResilienceConfigError,
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
