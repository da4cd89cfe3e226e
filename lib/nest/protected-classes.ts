import type { Issues } from '../core/validation.js';
import { missingMethod } from './messages.js';
import { protectedMethodsOf } from './protected-methods.js';
import { collect } from './collect.js';
import type { ResilienceRegistry } from './registry.js';

/**
 * Makes the pipelines of decorated methods, inherited ones included, and finds what is wrong.
 *
 * @param host their prototype, or the class of static ones; the methods that they name must be there, too
 */
export function resolveMethods(host: unknown, registry: ResilienceRegistry, issues: Issues): void {
  for (const method of protectedMethodsOf(host)) {
    for (const spec of method.specs) {
      if ('method' in spec && spec.method !== undefined) {
        requireMethod(host, spec.method, method.place, issues);
      }
    }
    collect(issues, () => registry.pipelineOf(method));
  }
}

function requireMethod(host: unknown, key: string, place: string, issues: Issues): void {
  const found = descriptorOf(host, key);
  if (typeof found?.value === 'function') return;
  if (found === undefined) {
    issues.list.push(missingMethod(place, key, 'a method that the class does not have'));
  } else {
    const accessor = found.get !== undefined || found.set !== undefined;
    issues.list.push(missingMethod(place, key, accessor ? 'an accessor' : 'no method'));
  }
}

function descriptorOf(host: unknown, key: string): PropertyDescriptor | undefined {
  let level = host;
  while (typeof level === 'function' || (typeof level === 'object' && level !== null)) {
    const found = Object.getOwnPropertyDescriptor(level, key);
    if (found !== undefined) return found;
    level = Object.getPrototypeOf(level) as unknown;
  }
  return undefined;
}
