/** Stands in for fast-check while mutants are tested: the same few runs each time, nothing shrunk. */
import fc from '../../node_modules/fast-check/lib/fast-check.js';

const most = Number(process.env.FAST_CHECK_RUNS ?? 25);

const isAsync = (property: { isAsync(): boolean }): boolean => property.isAsync();

const assert: typeof fc.assert = ((property: never, parameters: { numRuns?: number } = {}) =>
  fc.assert(property, {
    ...parameters,
    numRuns: Math.min(parameters.numRuns ?? 100, isAsync(property) ? most : 4 * most),
    seed: 1,
    endOnFailure: true,
  })) as typeof fc.assert;

export default { ...fc, assert };
