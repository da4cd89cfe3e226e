import { CircuitBreaker } from '../../core/circuit-breaker/circuit-breaker.js';
import { KeyedCircuitBreakers } from '../../core/circuit-breaker/keyed.js';
import {
  type Issues,
  type Schema,
  readOptions,
  show,
  suggest,
  text,
} from '../../core/validation.js';
import { unheardBreaker } from '../messages.js';
import type { ResilienceRegistry } from '../registry.js';
import { EVENT_TYPES } from './event-types.js';
import { type EventFilter, subscriptionsIn } from './subscriptions.js';

const filterSchema: Schema<EventFilter> = {
  breaker: { rule: text(), default: undefined },
  policy: { rule: text(), default: undefined },
};

/**
 * Finds what the listeners of a class ask for that never comes. Of a circuit breaker that nobody knows it
 * warns only: the first call of a lazily made class may make it.
 */
export function checkSubscriptions(
  prototype: unknown,
  registry: ResilienceRegistry,
  issues: Issues,
): void {
  for (const [key, { types, filter }] of subscriptionsIn(prototype)) {
    const { name } = (prototype as object).constructor;
    const place = `@OnResilienceEvent(${name}.${String(key)})`;
    for (const wanted of types as readonly unknown[]) {
      if (wanted === '*' || EVENT_TYPES.includes(wanted as string)) continue;
      issues.list.push(
        `${place}: ${show(wanted)} is not a type of event${suggest(show(wanted), EVENT_TYPES)}`,
      );
    }
    const { breaker } = readOptions(filterSchema, filter, place, issues);
    if (breaker === undefined) continue;
    if (types.some(isOfBreakers)) warnIfUnheard(breaker, place, registry);
    else {
      issues.list.push(
        `${place}: none of its types is of a circuit breaker, so { breaker: ${show(breaker)} } lets nothing through; ` +
          'use { policy } for other policies',
      );
    }
  }
}

function warnIfUnheard(breaker: string, place: string, registry: ResilienceRegistry): void {
  const families = namesOf(KeyedCircuitBreakers, registry);
  const known = [...new Set([...namesOf(CircuitBreaker, registry), ...families])];
  if (known.includes(breaker) || isOfKey(breaker, families)) return;
  registry.runtime.logger.warn(unheardBreaker(breaker, place, known));
}

/** A type that is none at all is told of by itself. */
function isOfBreakers(type: string): boolean {
  return type === '*' || type.startsWith('breaker.') || !EVENT_TYPES.includes(type);
}

/** Circuit breakers that are configured, and what was made as a `kind` of them. */
function namesOf(
  kind: typeof CircuitBreaker | typeof KeyedCircuitBreakers,
  registry: ResilienceRegistry,
): string[] {
  const made = registry.policies().filter((policy) => policy instanceof kind);
  return [...new Set([...registry.names.in('circuitBreakers'), ...made.map(({ name }) => name)])];
}

/** `tenants[acme]`, whose breaker may come with the first call. */
function isOfKey(breaker: string, families: readonly string[]): boolean {
  return breaker.endsWith(']') && families.some((family) => breaker.startsWith(`${family}[`));
}
