/** A warning stops the start in strict mode, so it must not come where nothing is wrong. */
import { Injectable } from '@nestjs/common';
import {
  ResilienceInspector,
  ResilienceModule,
  Resilient,
  type PolicyOptions,
} from 'nestjs-bulwark';
import { closeAll, start } from '../nest/support/applications.js';

afterEach(closeAll);

async function rulesFor(policy: PolicyOptions): Promise<string[]> {
  @Injectable()
  class Orders {
    @Resilient(policy)
    async place(): Promise<void> {}
  }
  const app = await start({ imports: [ResilienceModule.forRoot()], providers: [Orders] });
  const { warnings } = app.get(ResilienceInspector).report();
  return warnings.map(({ rule }) => rule);
}

const slowAfter = (slowCallDuration: string) =>
  ({ window: { type: 'count', slowCallRate: 0.5, slowCallDuration } }) as const;
const threshold = 'threshold-never-met';

it.each<[string, PolicyOptions, string[]]>([
  [
    'calls that retries inside make slow',
    [{ circuitBreaker: slowAfter('2s') }, { retry: {} }, { timeLimit: '1s' }],
    [],
  ],
  [
    'calls that a queue inside makes slow',
    [
      { circuitBreaker: slowAfter('2s') },
      { bulkhead: { maxQueue: 5, queueTimeout: '5s' } },
      { timeLimit: '1s' },
    ],
    [],
  ],
  [
    'calls that not even retries make slow',
    [{ circuitBreaker: slowAfter('4s') }, { retry: {} }, { timeLimit: '1s' }],
    [threshold],
  ],
  ['a back-off of its own', { retry: { backoff: () => 10, maxDuration: 50 } }, []],
  ['delays that are capped', { retry: { maxDelay: 20, maxDuration: 50 } }, []],
  ['full jitter', { retry: { jitter: 'full', maxDuration: 50 } }, []],
  ['a delay that jitter may shorten', { retry: { jitter: 0.2, maxDuration: 90 } }, []],
  ['a delay that jitter does not shorten enough', { retry: { maxDuration: 89 } }, [threshold]],
  ['half of a delay', { retry: { jitter: 'equal', maxDuration: 49 } }, [threshold]],
  [
    'attempts that maxDuration ends before the limit around them',
    { timeLimit: '1s', retry: { maxAttempts: 8, maxDuration: 500 } },
    [],
  ],
  [
    'attempts that maxDuration ends after it',
    { timeLimit: '1s', retry: { maxAttempts: 8, maxDuration: 1500 } },
    ['retry-exceeds-time-limit'],
  ],
  ['a single attempt', { retry: { maxAttempts: 1, maxDuration: 1 } }, []],
])('of %s', async (_what, policy, rules) => {
  expect(await rulesFor(policy)).toEqual(rules);
});
