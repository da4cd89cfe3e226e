import { Inject, Optional } from '@nestjs/common';
import { defaultRegistry } from './default-registry.js';
import { processWide } from '../core/process-wide.js';
import type { ResilienceRegistry } from './registry.js';
import { isRegistryHandle } from './registry-handle.js';
import { REGISTRY, REGISTRY_HANDLE } from './tokens.js';

interface Bound {
  [REGISTRY]?: ResilienceRegistry | undefined;
}

/** Instances that take no property any more (frozen in their constructor). */
const sealed = processWide('sealed-instances', () => new WeakMap<object, ResilienceRegistry>());

/**
 * Has Nest give its application's registry to every instance of the class, whatever its scope. What it
 * injects is a handle; the setter makes the registry behind it a hidden own property: out of keys, JSON and
 * `toEqual`, and seen through a Proxy around the instance. `new Service()` gets none.
 */
export function requestRegistry(target: object): void {
  if (typeof target === 'function' || hasProtectedMethods(target)) return;
  Object.defineProperty(target, REGISTRY, {
    configurable: true,
    get(this: object) {
      return sealed.get(this);
    },
    set(this: object, injected: object | undefined) {
      if (injected === undefined || !isRegistryHandle(injected)) return;
      injected.whenFilled((registry) => {
        bindRegistry(this, registry);
      });
    },
  });
  Inject(REGISTRY_HANDLE)(target, REGISTRY);
  Optional()(target, REGISTRY);
}

/** Whether it is an instance, or a prototype, of a class that asks for the registry. */
export function hasProtectedMethods(instance: object): boolean {
  return REGISTRY in instance;
}

/** Whether the instance has decorated methods, and not this registry: a `useValue` may come from another test. */
export function wantsRegistry(instance: object, registry: ResilienceRegistry): boolean {
  return hasProtectedMethods(instance) && (instance as Bound)[REGISTRY] !== registry;
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
