import 'reflect-metadata';
import type { ResilienceEvent, ResilienceEventType } from '../../core/events.js';

/** Which events a method wants. */
export interface EventFilter {
  /** Only those about the circuit breaker of this name. */
  readonly breaker?: string | undefined;
  /** Only those about the policy of this name or id. */
  readonly policy?: string | undefined;
}

/** What `@OnResilienceEvent` has put on a method. */
export interface EventSubscription extends EventFilter {
  readonly types: readonly (ResilienceEventType | '*')[];
}

const SUBSCRIPTIONS = Symbol.for('nestjs-bulwark:event-subscriptions');

/**
 * Calls the method for events of the application's policies. On providers and controllers that live as
 * long as the application; what it throws is logged and changes nothing.
 *
 * @param types one type, several, or `'*'` for all
 * @example
 * @OnResilienceEvent('breaker.opened', { breaker: 'payments' })
 * page(event: ResilienceEvent<'breaker.opened'>): void { ... }
 */
export function OnResilienceEvent<T extends ResilienceEventType>(
  types: T | readonly T[] | '*',
  filter: EventFilter = {},
): <M extends (event: ResilienceEvent<T>) => unknown>(
  target: object,
  key: string | symbol,
  descriptor: TypedPropertyDescriptor<M>,
) => void {
  return (_target, _key, { value }) => {
    if (typeof value !== 'function') {
      throw new TypeError('@OnResilienceEvent() can only decorate methods');
    }
    const subscription = { types: [types].flat(), ...filter };
    Reflect.defineMetadata(SUBSCRIPTIONS, [...subscriptionsOf(value), subscription], value);
  };
}

/** What a method wants to be told. */
export function subscriptionsOf(method: object): readonly EventSubscription[] {
  return (Reflect.getMetadata(SUBSCRIPTIONS, method) ?? []) as readonly EventSubscription[];
}

export function wants(subscription: EventSubscription, event: ResilienceEvent): boolean {
  const { types, breaker, policy } = subscription;
  if (!types.includes('*') && !types.includes(event.type)) return false;
  if (breaker !== undefined && !(event.type.startsWith('breaker.') && event.name === breaker)) {
    return false;
  }
  return policy === undefined || event.name === policy || event.policy === policy;
}
