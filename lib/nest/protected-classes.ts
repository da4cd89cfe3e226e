import type { Issues } from '../core/validation.js';
import { missingMethod } from './messages.js';
import { protectedMethodsOf } from './protected-methods.js';
import { collect } from './collect.js';
import type { ResilienceRegistry } from './registry.js';

/**
 * Makes the pipelines of a class's decorated methods, inherited ones included, and finds what is wrong.
 *
 * @param target its prototype or an instance: where the methods that they name must be
 */
export function resolveMethods(
  type: { readonly prototype?: unknown },
  target: object,
  registry: ResilienceRegistry,
  issues: Issues,
): void {
  for (const method of protectedMethodsOf(type)) {
    for (const spec of method.specs) {
      if ('method' in spec && spec.method !== undefined && !(spec.method in target)) {
        issues.list.push(missingMethod(method.place, spec.method));
      }
    }
    collect(issues, () => registry.pipelineOf(method));
  }
}
