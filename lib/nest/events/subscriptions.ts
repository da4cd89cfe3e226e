import 'reflect-metadata';
import type { ResilienceEvent, ResilienceEventType } from '../../core/events.js';
import { familyId } from '../../core/circuit-breaker/keyed.js';
import { levelsOf } from '../levels.js';

/** Which events a method wants. */
export interface EventFilter {
  /** Only those about the circuit breaker of this name, or about those of its keys. */
  readonly breaker?: string | undefined;
  /** Only those about the policy of this name or id. */
  readonly policy?: string | undefined;
}

/** What `@OnResilienceEvent` has put on a method. */
export interface EventSubscription {
  readonly types: readonly (ResilienceEventType | '*')[];
  readonly filter: EventFilter;
}

const SUBSCRIPTIONS = Symbol.for('nestjs-bulwark:event-subscriptions');

/** On the function and on its place: a mixin copies the one, somebody else's decorator hides it. */
export function subscribe(
  target: object,
  key: string | symbol,
  method: object,
  subscription: EventSubscription,
): void {
  const { onFunction, onPlace } = subscriptionsAt(target, key, method);
  Reflect.defineMetadata(SUBSCRIPTIONS, [...onFunction, subscription], method);
  Reflect.defineMetadata(SUBSCRIPTIONS, [...onPlace, subscription], target, key);
}

/** The decorated methods that instances have, inherited ones included; an override speaks for itself. */
export function* subscriptionsIn(
  prototype: unknown,
): Iterable<readonly [string | symbol, EventSubscription]> {
  const seen = new Set<string | symbol>();
  for (const level of levelsOf(prototype)) {
    for (const key of Reflect.ownKeys(level)) {
      const method: unknown = Object.getOwnPropertyDescriptor(level, key)?.value;
      if (typeof method !== 'function' || seen.has(key)) continue;
      seen.add(key);
      const { onFunction, onPlace } = subscriptionsAt(level, key, method);
      for (const each of new Set([...onFunction, ...onPlace])) yield [key, each];
    }
  }
}

/** Whether events call the method that stands in this place. */
export function isListener(target: object, key: string | symbol, method: object): boolean {
  const { onFunction, onPlace } = subscriptionsAt(target, key, method);
  return onFunction.length > 0 || onPlace.length > 0;
}

export function wants({ types, filter }: EventSubscription, event: ResilienceEvent): boolean {
  const { breaker, policy } = filter;
  if (!types.includes('*') && !types.includes(event.type)) return false;
  if (breaker !== undefined && !isAbout(breaker, event)) return false;
  return policy === undefined || event.name === policy || event.policy === policy;
}

function isAbout(breaker: string, { type, name, policy }: ResilienceEvent): boolean {
  return type.startsWith('breaker.') && (name === breaker || policy === familyId(breaker));
}

type Subscriptions = readonly EventSubscription[] | undefined;

function subscriptionsAt(target: object, key: string | symbol, method: object) {
  const onFunction = Reflect.getMetadata(SUBSCRIPTIONS, method) as Subscriptions;
  const onPlace = Reflect.getOwnMetadata(SUBSCRIPTIONS, target, key) as Subscriptions;
  return { onFunction: onFunction ?? [], onPlace: onPlace ?? [] };
}
