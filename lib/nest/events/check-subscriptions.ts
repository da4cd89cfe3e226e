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
import { unknownName } from '../messages.js';
import type { ResilienceRegistry } from '../registry.js';
import { EVENT_TYPES } from './event-types.js';
import { type EventFilter, subscriptionsIn } from './subscriptions.js';

const filterSchema: Schema<EventFilter> = {
  breaker: { rule: text(), default: undefined },
  policy: { rule: text(), default: undefined },
};

/** Finds what the listeners of a class ask for that never comes. */
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
    const known = breakersOf(registry);
    if (breaker !== undefined && !known.includes(breaker) && !isOfKey(breaker, registry)) {
      issues.list.push(unknownName('circuitBreakers', breaker, place, known));
    }
  }
}

function breakersOf(registry: ResilienceRegistry): string[] {
  const made = registry.policies().filter((policy) => policy instanceof CircuitBreaker);
  return [...new Set([...registry.names.in('circuitBreakers'), ...made.map(({ name }) => name)])];
}

/** `tenants[acme]`, whose breaker may come with the first call. */
function isOfKey(breaker: string, registry: ResilienceRegistry): boolean {
  const [, family] = /^(.*?)\[.*\]$/s.exec(breaker) ?? [];
  if (family === undefined) return false;
  return (
    registry.names.has('circuitBreakers', family) ||
    registry.policies().some((each) => each instanceof KeyedCircuitBreakers && each.name === family)
  );
}
