import type { AdaptiveLimitPolicy } from '../core/adaptive-limit/adaptive-limit.js';
import type { AdaptiveLimitOptions } from '../core/adaptive-limit/options.js';
import type { AnyMethodDecorator } from './decorator-types.js';
import { policyDecorator } from './policy-decorator.js';

/**
 * Lets as many calls of the method run at once as what it calls can work on, as told by latency and by
 * failures that mean overload.
 *
 * @param adaptiveLimit the name of an adaptive limit of the module (shared by all who name it), options, or a
 * policy made by hand. Default: from 1 to 200 calls, 20 to begin with
 * @example
 * @AdaptiveLimit({ maxLimit: 100 })
 * search(text: string): Promise<Hit[]> { ... }
 * @throws BulkheadRejectedError (the method) when there is no room
 */
export function AdaptiveLimit(
  adaptiveLimit?: string | AdaptiveLimitOptions | AdaptiveLimitPolicy,
): AnyMethodDecorator {
  return policyDecorator('AdaptiveLimit', { part: 'adaptiveLimit', given: adaptiveLimit });
}
