import { AsyncLocalStorage, createHook } from 'node:async_hooks';
import { pipeline, retry, timeLimit } from 'nestjs-bulwark/core';
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

describe('the async context of a call under a time limit with a retry around it', () => {
  it(`is kept by ${storesInMaps ? 'one resource, in which its work runs' : 'the promise of its answer'}`, async () => {
    const policy = pipeline(retry({}, lab), timeLimit(100, lab));
    await policy.execute(() => 'what is stored is stored from here on');
    const types = await resourcesOf(() =>
      requests.run('mine', () => policy.execute(async () => requests.getStore())),
    );
    expect(types).toEqual(storesInMaps ? ['bulwark.place'] : []);
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
