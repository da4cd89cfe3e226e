import { suggest } from '../core/validation.js';

const GROUP_TITLES: Readonly<Record<string, string>> = {
  circuitBreakers: 'circuit breaker',
  retries: 'retry',
  budgets: 'retry budget',
  bulkheads: 'bulkhead',
  rateLimits: 'rate limit',
  adaptiveLimits: 'adaptive limit',
  throttles: 'client throttle',
  hedges: 'hedge',
  policies: 'policy',
};

export function titleOf(group: string): string {
  return GROUP_TITLES[group] ?? group;
}

/** An unknown name: where it was asked for, what is known, and the nearest. */
export function unknownName(
  group: string,
  name: string,
  place: string,
  known: readonly string[],
): string {
  const list = known.length === 0 ? 'none is configured' : `known: ${known.join(', ')}`;
  return `${place}: ${titleOf(group)} "${name}" is not configured (${list})${suggest(name, known)}`;
}

/** A listener to a circuit breaker that may still come, or whose name is a mistake. */
export function unheardBreaker(name: string, place: string, known: readonly string[]): string {
  const list = known.length === 0 ? 'there is none at all' : `known: ${known.join(', ')}`;
  return (
    `${place}: there is no circuit breaker "${name}" yet (${list}), so it hears nothing until one is ` +
    `made${suggest(name, known)}`
  );
}

/** @param onlyFunctions whether the two look the same, but for functions that are two objects */
export function duplicateName(group: string, name: string, onlyFunctions: boolean): string {
  return (
    `${titleOf(group)} "${name}" is configured more than once, with different options` +
    (onlyFunctions
      ? ': functions are the same only where they are one object; define each of them once and use it in both places'
      : '')
  );
}

/** @param found what the class has under that name */
export function missingMethod(
  place: string,
  method: string,
  found: 'a method that the class does not have' | 'an accessor' | 'no method',
): string {
  return (
    `${place}: @Fallback("${method}") names ${found}; name a method of the class, which an accessor ` +
    'or a property with a function is not'
  );
}

export function fallbackToItself(place: string): string {
  return `${place}: @Fallback() names the method that it stands on; name another that answers for it`;
}

export function keyOfOneBreaker(place: string): string {
  return `${place}: a key needs the name or the options of a circuit breaker; one made by hand is one for all keys`;
}

/** @param got the policy, as a message shows it */
export function otherKind(part: string, place: string, got: string): string {
  return `${part}(${place}) must not be a policy of another kind, got ${got}; @Resilient() and pipeline() take any`;
}

export const SECOND_ROOT =
  'ResilienceModule.forRoot() or forRootAsync() is imported more than once; import it once, in the root ' +
  'module, and add to it with ResilienceModule.forFeature()';

export function withoutRoot(what: string): string {
  return `${what} needs ResilienceModule.forRoot() or forRootAsync(); import one of them in the root module`;
}

/** @param got the provider that was named, as a message shows it */
export function noOptionsFactory(way: string, got: string): string {
  return `forRootAsync().${way} must have the method createResilienceOptions(), got ${got}`;
}

/** @param instead what stands in its place */
export function standsIn(
  instead: 'default options are used' | 'calls pass unprotected',
  group: string,
  name: string,
  place: string,
): string {
  return (
    `${place}: ${titleOf(group)} "${name}" is not configured; ${instead}, since the instance, ` +
    'or the class of a static method, belongs to no application with ResilienceModule'
  );
}
