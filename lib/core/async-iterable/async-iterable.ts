import type { Work } from '../context.js';
import type { ResultAdapter } from '../result-kind.js';
import { Iteration } from './iteration.js';
import { isAsyncIterable } from './source.js';

/** Protects async iterators: one call from the first `next` to the end. */
export const asyncIterableAdapter: ResultAdapter = {
  declares: (work: Work) => work.constructor.name === 'AsyncGeneratorFunction',
  recognises: isAsyncIterable,
  adapt: (pipeline, open, target) => new Iteration(pipeline, open, target),
};
