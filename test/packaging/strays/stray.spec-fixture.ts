/** What must fail a run, and what must not. `test/packaging/strays.spec.ts` runs it in a Jest of its own. */
import { it } from '@jest/globals';
import { setImmediate as nextTurn } from 'node:timers/promises';

it('rejection in a test', async () => {
  void Promise.reject(new Error('stray in a test'));
  await nextTurn();
});

it('rejection at its very end', () => {
  void Promise.reject(new Error('stray at its very end'));
});

it('exception in a callback', async () => {
  setImmediate(() => {
    throw new Error('stray in a callback');
  });
  await nextTurn();
  await nextTurn();
});

it('rejection handled late', async () => {
  const handledLater = Promise.reject(new Error('handled late'));
  await nextTurn();
  await handledLater.catch(() => undefined);
});

it('rejection after the suite', () => {
  setTimeout(() => void Promise.reject(new Error('stray after the suite')), 50);
});
