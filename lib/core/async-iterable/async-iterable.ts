import type { Work } from '../context.js';
import type { ResultAdapter } from '../result-kind.js';
import { Iteration } from './iteration.js';
import { isAsyncIterable } from './source.js';

/** Protects async iterators: one call from the first `next` to the end. */
export const asyncIterableAdapter: ResultAdapter = {
  declares: (work: Work) => work.constructor.name === 'AsyncGeneratorFunction',
  recognises: (value) => isAsyncIterable(value) && !isStream(value),
  adapt: (pipeline, open, target) => new Iteration(pipeline, open, target),
};

/** A stream of Node or of the web is more than its iterator, which would be all that is left of it. */
function isStream(value: object): boolean {
  return 'pipe' in value || 'getReader' in value;
}
