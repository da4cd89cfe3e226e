import type { ModulesContainer } from '@nestjs/core';
import type { NamedOptions } from './named-options.js';

const byModule = new WeakMap<object, NamedOptions>();

/** Remembers what a feature module adds; its class is its own, so the class is the key. */
export function rememberFeature(moduleClass: object, options: NamedOptions): void {
  byModule.set(moduleClass, options);
}

/** What the feature modules of one application add. */
export function featuresIn(modules: ModulesContainer): NamedOptions[] {
  return [...modules.values()]
    .map(({ metatype }) => byModule.get(metatype))
    .filter((options) => options !== undefined);
}
