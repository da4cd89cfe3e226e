import { type DynamicModule, Inject, Module, Optional } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import type { NamedOptions } from './named-options.js';
import { namedProviders } from './named-providers.js';
import { processWide } from '../core/process-wide.js';
import type { ResilienceRegistry } from './registry.js';
import { requireRoot } from './root.js';
import { REGISTRY } from './tokens.js';

const byModule = processWide('features', () => new WeakMap<object, unknown>());

/** A module for what a feature adds. */
export function featureModule(options: NamedOptions): DynamicModule {
  // A class of its own for each call: Nest takes equal dynamic modules for one.
  @Module({})
  class ResilienceFeatureModule {
    constructor(
      @Inject(ModulesContainer) modules: ModulesContainer,
      // Optional, or Nest's own error would come before the one that says what to do.
      @Optional() @Inject(REGISTRY) registry?: ResilienceRegistry,
    ) {
      requireRoot(modules, 'ResilienceModule.forFeature()');
      registry?.adopt(options);
    }
  }
  byModule.set(ResilienceFeatureModule, options);
  const named = namedProviders(options).map(({ useFactory, ...provider }) => ({
    ...provider,
    inject: [{ token: REGISTRY, optional: true }, ResilienceFeatureModule],
    useFactory: (registry?: ResilienceRegistry): unknown => registry && useFactory(registry),
  }));
  return {
    module: ResilienceFeatureModule,
    providers: named,
    exports: named.map(({ provide }) => provide),
  };
}

export function isFeature(moduleClass: object): boolean {
  return byModule.has(moduleClass);
}

/** What the feature modules of one application were given, unchecked. */
export function featuresIn(modules: ModulesContainer): unknown[] {
  return [...modules.values()]
    .filter(({ metatype }) => isFeature(metatype))
    .map(({ metatype }) => byModule.get(metatype));
}
