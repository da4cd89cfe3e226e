import type { ClientThrottlePolicy } from '../core/client-throttle/client-throttle.js';
import type { ClientThrottleOptions } from '../core/client-throttle/options.js';
import type { AnyMethodDecorator } from './decorator-types.js';
import { policyDecorator } from './policy-decorator.js';

/**
 * Holds calls of the method back while what it calls rejects most of them as overloaded.
 *
 * @param throttle the name of a client throttle of the module (shared by all who name it), options, or a
 * policy made by hand. Default: twice as many calls as were accepted in the last two minutes
 * @example
 * @ClientThrottle({ multiplier: 2, window: '1m' })
 * stock(id: string): Promise<number> { ... }
 * @throws ThrottledError (the method) for a call that is held back
 */
export function ClientThrottle(
  throttle?: string | ClientThrottleOptions | ClientThrottlePolicy,
): AnyMethodDecorator {
  return policyDecorator('ClientThrottle', { part: 'clientThrottle', given: throttle });
}
