import { Inject, Optional } from '@nestjs/common';
import { defaultRegistry } from './default-registry.js';
import { processWide } from '../core/process-wide.js';
import { type ResilienceRegistry, isRegistry } from './registry.js';
import { REGISTRY } from './tokens.js';

interface Bound {
  [REGISTRY]?: ResilienceRegistry | undefined;
}

/** Instances that take no property any more (frozen in their constructor). */
const sealed = processWide('sealed-instances', () => new WeakMap<object, ResilienceRegistry>());

/**
 * Has Nest inject its application's registry into every instance of the class, whatever its scope. The
 * setter makes the assignment a hidden own property: out of keys, JSON and `toEqual`, and seen through a
 * Proxy around the instance. `new Service()` gets none.
 */
export function requestRegistry(target: object): void {
  if (typeof target === 'function' || REGISTRY in target) return;
  Object.defineProperty(target, REGISTRY, {
    configurable: true,
    get(this: object) {
      return sealed.get(this);
    },
    set(this: object, injected: object | undefined) {
      if (injected !== undefined && isRegistry(injected)) bindRegistry(this, injected);
    },
  });
  Inject(REGISTRY)(target, REGISTRY);
  Optional()(target, REGISTRY);
}

/** Whether the instance has decorated methods, and not this registry: a `useValue` may come from another test. */
export function wantsRegistry(instance: object, registry: ResilienceRegistry): boolean {
  return REGISTRY in instance && (instance as Bound)[REGISTRY] !== registry;
}

export function bindRegistry(instance: object, registry: ResilienceRegistry): void {
  if (!Object.isExtensible(instance)) {
    sealed.set(instance, registry);
    return;
  }
  Object.defineProperty(instance, REGISTRY, { value: registry, configurable: true });
}

/** The registry of an instance: its application's, or the shared default one. */
export function registryOf(instance: unknown): ResilienceRegistry {
  return (instance as Bound | undefined | null)?.[REGISTRY] ?? defaultRegistry();
}
