/** A `RetryConfig` is complete, and replaces every option, whether its budget is a name or not. */
import {
  type ResilienceChanges,
  ResilienceConfigurator,
  ResilienceInspector,
  ResilienceModule,
  RetryBudget,
  RetryConfig,
  RetryPolicy,
} from 'nestjs-bulwark';
import { coded } from '../support/lab.js';
import { closeAll, start } from '../nest/support/applications.js';

afterEach(closeAll);

const before = { retryOn: 'ECONNRESET', maxDuration: 100, onRetry: () => undefined } as const;

describe.each(['none', 'shared'] as const)('with budget: %s', (budget) => {
  const config = new RetryConfig({ maxAttempts: 2, ...(budget === 'shared' && { budget }) });

  it.each<[string, ResilienceChanges]>([
    ['a named retry', { retries: { api: config } }],
    ['a part of a named policy', { policies: { catalog: { retry: config } } }],
  ])('changes %s as a whole', async (_which, changes) => {
    const app = await start({
      imports: [
        ResilienceModule.forRoot({
          budgets: { shared: {} },
          retries: { api: before },
          policies: { catalog: { retry: before } },
        }),
      ],
    });
    app.get(ResilienceConfigurator).configure(changes);
    const retries = app.get(ResilienceInspector).policies();
    const changed = retries.filter(
      (policy): policy is RetryPolicy =>
        policy instanceof RetryPolicy && policy.options.maxAttempts === 2,
    );
    expect(changed).toHaveLength(1);
    const [{ options, rules }] = changed as [RetryPolicy];
    expect(options).toMatchObject({ retryOn: undefined, maxDuration: undefined });
    expect(options.onRetry).toBeUndefined();
    expect(rules.decision.retriesError(coded('EPIPE'))).toBe(true);
    if (budget === 'shared') expect(rules.budget).toBeInstanceOf(RetryBudget);
    else expect(rules.budget).toBeUndefined();
  });
});
