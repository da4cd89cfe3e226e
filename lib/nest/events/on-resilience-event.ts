import type { ResilienceEvent, ResilienceEventType } from '../../core/events.js';
import { requireCall, requireExperimental } from '../misused-decorators.js';
import { type EventFilter, subscribe } from './subscriptions.js';

/**
 * Calls the method for events of the application's policies. On providers and controllers that live as
 * long as the application; what it throws is logged and changes nothing. A circuit breaker that there is
 * not, or not yet, is a warning at start-up.
 *
 * @param types one type, several, or `'*'` for all
 * @example
 * @OnResilienceEvent('breaker.opened', { breaker: 'payments' })
 * page(event: ResilienceEvent<'breaker.opened'>): void { ... }
 * @throws ResilienceConfigError (at start-up) for an unknown type or filter
 */
export function OnResilienceEvent<T extends ResilienceEventType>(
  types: T | readonly T[] | '*',
  filter: EventFilter = {},
): <M extends (event: ResilienceEvent<T>) => unknown>(
  target: object,
  key: string | symbol,
  descriptor: TypedPropertyDescriptor<M>,
) => void {
  requireCall('OnResilienceEvent', types);
  return (target, key, descriptor) => {
    requireExperimental('OnResilienceEvent', key);
    const { value } = descriptor;
    if (typeof value !== 'function') {
      throw new TypeError('@OnResilienceEvent() can only decorate methods');
    }
    subscribe(target, key, value, { types: [types].flat(), filter });
  };
}
