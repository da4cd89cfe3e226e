import { AsyncLocalStorage, createHook } from 'node:async_hooks';
import {
  CircuitBreaker,
  type Policy,
  adaptiveLimit,
  bulkhead,
  fallback,
  pipeline,
  retry,
  timeLimit,
} from 'nestjs-bulwark/core';
import { Lab } from '../support/lab.js';

const storesInMaps = Number(process.versions.node.split('.')[0]) >= 24;
const requests = new AsyncLocalStorage<string>();

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});

/** The async resources of this library that are made while `act` runs. */
async function resourcesOf(act: () => Promise<unknown>): Promise<string[]> {
  const types: string[] = [];
  const hook = createHook({
    init(_id, type) {
      if (type.startsWith('bulwark.')) types.push(type);
    },
  });
  hook.enable();
  await act();
  hook.disable();
  return types;
}

describe('the async context of a call under a time limit with something around it', () => {
  const limit = (): Policy => timeLimit(100, lab);
  it.each<[string, number, () => Policy[]]>([
    ['a retry', 1, () => [retry({}, lab), limit()]],
    ['a fallback', 1, () => [fallback(() => 0, {}, lab), limit()]],
    ['a circuit breaker', 1, () => [new CircuitBreaker('b', {}, lab), limit()]],
    ['a bulkhead with a queue', 1, () => [bulkhead({ maxQueue: 1 }, lab), limit()]],
    ['an adaptive limit', 1, () => [adaptiveLimit({}, lab), limit()]],
    ['a retry and another limit', 2, () => [retry({}, lab), timeLimit(200, lab), limit()]],
  ])('%s: is kept by the promise of its answer before Node 24', async (_what, places, policies) => {
    const policy = pipeline(...policies());
    await policy.execute(() => 'what is stored is stored from here on');
    const types = await resourcesOf(() =>
      requests.run('mine', () => policy.execute(async () => requests.getStore())),
    );
    // With maps it is kept by resources, in the innermost of which the work runs.
    expect(types).toEqual(Array(storesInMaps ? places : 0).fill('bulwark.place'));
  });

  it('is there again when its second attempt has run out, too', async () => {
    const seen: unknown[] = [];
    const policy = pipeline(
      retry({ maxAttempts: 3, baseDelay: 1, onRetry: () => seen.push(requests.getStore()) }, lab),
      timeLimit(10, lab),
    );
    const calls = ['a', 'b'].map((id) =>
      requests.run(id, () => lab.outcomeOf(policy.execute(() => new Promise(() => undefined)))),
    );
    await lab.clock.advance(100);
    await Promise.all(calls);
    expect(seen).toEqual(['a', 'b', 'a', 'b']);
  });
});
