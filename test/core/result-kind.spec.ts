import {
  asyncAdapters,
  asyncIteratorAdapter,
} from '../../lib/core/async-iterable/async-iterable.js';
import { type ResultAdapter, declaredKind } from '../../lib/core/result-kind.js';

async function* items(): AsyncGenerator<number> {
  yield await Promise.resolve(1);
}
const plain = (): number => 1;

describe('what is known of a result before the first call', () => {
  it.each<[string, (...args: never[]) => unknown, unknown, ResultAdapter | string | undefined]>([
    ['an asynchronous function', async () => 1, undefined, 'promise'],
    ['a function that is declared to give a promise', plain, Promise, 'promise'],
    ['a function that is declared to give a number', plain, Number, 'plain'],
    ['a function that is declared to give an object', plain, Object, undefined],
    ['a function that declares nothing', plain, undefined, undefined],
    ['an asynchronous generator', items, undefined, asyncIteratorAdapter],
    ['an asynchronous generator, whatever is declared', items, Promise, asyncIteratorAdapter],
  ])('%s', (_what, work, declared, kind) => {
    expect(declaredKind(work, asyncAdapters, declared)).toBe(kind);
  });
});
