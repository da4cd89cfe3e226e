import type { HedgePolicy } from '../core/hedge/hedge.js';
import type { HedgeOptions } from '../core/hedge/options.js';
import type { AsyncMethodDecorator, NoHedgeOfSynchronousMethods } from './decorator-types.js';
import { policyDecorator } from './policy-decorator.js';

/**
 * Runs the method once more when it has not answered within `delay`, and takes the first answer. For
 * methods that may safely run twice; the loser's `currentSignal()` is aborted.
 *
 * @param hedge options, the name of a hedge of the module, or a policy made by hand
 * @example
 * @Hedge({ delay: 'p95' })
 * search(query: string): Promise<Hit[]> { ... }
 */
export function Hedge(
  hedge: string | HedgeOptions | HedgePolicy,
): AsyncMethodDecorator<NoHedgeOfSynchronousMethods> {
  return policyDecorator('Hedge', {
    part: 'hedge',
    given: hedge,
  }) as AsyncMethodDecorator<NoHedgeOfSynchronousMethods>;
}
