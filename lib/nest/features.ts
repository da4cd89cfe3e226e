import type { ModulesContainer } from '@nestjs/core';

const byModule = new WeakMap<object, unknown>();

/** Remembers what a feature module adds; its class is its own, so the class is the key. */
export function rememberFeature(moduleClass: object, options: unknown): void {
  byModule.set(moduleClass, options);
}

/** What the feature modules of one application were given, unchecked. */
export function featuresIn(modules: ModulesContainer): unknown[] {
  return [...modules.values()]
    .filter(({ metatype }) => byModule.has(metatype))
    .map(({ metatype }) => byModule.get(metatype));
}
