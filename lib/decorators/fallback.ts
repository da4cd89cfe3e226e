import { ResilienceConfigError } from '../core/errors.js';
import type { FallbackHandler, FallbackOptions } from '../core/fallback.js';
import { missingMethod } from '../nest/messages.js';
import { requireCall } from '../nest/misused-decorators.js';
import type { AsyncMethodDecorator, NoFallbackOfSynchronousMethods } from './decorator-types.js';
import { policyDecorator } from './policy-decorator.js';

/**
 * Answers with another method of the instance, or with a handler, when the method fails. It gets the
 * error and the method's own arguments, and `this`. Aborts are not covered unless `on` names them.
 *
 * @param handler the name of a method, or a function
 * @example
 * @Fallback('cachedRates')
 * rates(currency: string): Promise<Rates> { ... }
 * cachedRates(error: unknown, currency: string): Rates { ... }
 * @throws ResilienceConfigError (at start-up) where the class has no such method
 */
export function Fallback(
  handler: string | FallbackHandler,
  options: FallbackOptions = {},
): AsyncMethodDecorator<NoFallbackOfSynchronousMethods> {
  requireCall('Fallback', handler);
  const method = typeof handler === 'string' ? handler : undefined;
  const given = { ...options, handler: method === undefined ? handler : calling(method) };
  return policyDecorator('Fallback', {
    part: 'fallback',
    given: given as FallbackOptions & { handler: FallbackHandler },
    method,
  }) as AsyncMethodDecorator<NoFallbackOfSynchronousMethods>;
}

function calling(method: string): FallbackHandler {
  return function (this: Record<string, FallbackHandler | undefined>, ...args): unknown {
    const answer = this[method];
    if (typeof answer === 'function') return answer.apply(this, args);
    throw new ResilienceConfigError([
      missingMethod(this.constructor.name, method, 'a method that the class does not have'),
    ]);
  };
}
