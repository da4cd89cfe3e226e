import type { BulkheadPolicy } from '../core/bulkhead/bulkhead.js';
import type { BulkheadOptions } from '../core/bulkhead/options.js';
import type { AnyMethodDecorator } from './decorator-types.js';
import { policyDecorator } from './policy-decorator.js';

/**
 * Lets so many calls of the method run at once; more wait in a queue, if it has one, or are rejected.
 *
 * @param bulkhead the name of a bulkhead of the module (shared by all who name it), options, or a policy
 * made by hand. Default: 10 at once, no queue
 * @example
 * @Bulkhead({ maxConcurrent: 5, maxQueue: 100, queueTimeout: '2s' })
 * render(report: string): Promise<Buffer> { ... }
 * @throws BulkheadRejectedError (the method) when there is no room
 */
export function Bulkhead(bulkhead?: string | BulkheadOptions | BulkheadPolicy): AnyMethodDecorator {
  return policyDecorator('Bulkhead', { part: 'bulkhead', given: bulkhead });
}
