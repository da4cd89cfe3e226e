import type { ResultAdapter } from '../result-kind.js';
import { Iteration } from './iteration.js';
import { isAsyncIterable } from './source.js';

/** Protects async iterators, generators among them: one call from the first `next` to the end. */
export const asyncIteratorAdapter: ResultAdapter = {
  declares: (work) => work.constructor.name === 'AsyncGeneratorFunction',
  recognises: (value) => isOnlyIterable(value) && 'next' in value,
  adapt: (pipeline, open, target) => new Iteration(pipeline, open, target),
};

/** Protects what makes async iterators: each iteration is one call. */
export const asyncIterableAdapter: ResultAdapter = {
  declares: () => false,
  recognises: (value) => isOnlyIterable(value) && !('next' in value),
  adapt: (pipeline, open, target) => ({
    [Symbol.asyncIterator]: () => new Iteration(pipeline, open, target),
  }),
};

export const asyncAdapters = [asyncIteratorAdapter, asyncIterableAdapter];

/** A stream of Node or of the web is more than its iterator, which would be all that is left of it. */
function isOnlyIterable(value: unknown): value is AsyncIterable<unknown> {
  return isAsyncIterable(value) && !('pipe' in value || 'getReader' in value);
}
