import type { Policy } from '../core/policy.js';
import type { PolicyOptions } from '../nest/policy-spec.js';
import type { AsyncMethodDecorator, NoPolicyOfSynchronousMethods } from './decorator-types.js';
import { policyDecorator } from './policy-decorator.js';

/**
 * Runs the method under a whole policy. On a class: every method of its own.
 *
 * @param policy the name of a policy of the module, its parts (in the fixed order, or as a list of
 * single-key objects, outermost first), or a policy made by hand
 * @example
 * @Resilient({ timeLimit: '2s', retry: 'api', circuitBreaker: 'payments' })
 * charge(amount: number): Promise<Receipt> { ... }
 */
export function Resilient(
  policy: string | PolicyOptions | Policy,
): AsyncMethodDecorator<NoPolicyOfSynchronousMethods> {
  return policyDecorator('Resilient', {
    part: 'policy',
    given: policy,
  }) as AsyncMethodDecorator<NoPolicyOfSynchronousMethods>;
}
