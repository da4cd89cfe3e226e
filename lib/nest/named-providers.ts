import type { FactoryProvider } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';
import type { NamedOptions } from './named-options.js';
import type { ResilienceRegistry } from './registry.js';
import {
  INJECTED_GROUPS,
  type InjectedGroup,
  REGISTRY,
  everyAskedName,
  nameBehind,
  tokenOf,
} from './tokens.js';

/**
 * Providers for the names in `options` and for every name that somebody asks for. A name of another
 * application in this process gives `undefined` here, until `forgetUnknown`; one that this application
 * asks for and nobody configured has stopped the start by then.
 *
 * @param options not checked yet
 */
export function namedProviders(options: NamedOptions | null | undefined): FactoryProvider[] {
  const wanted = new Map<string, FactoryProvider>();
  const want = (group: InjectedGroup, name: string): void => {
    const provide = tokenOf(group, name);
    wanted.set(provide, {
      provide,
      inject: [REGISTRY],
      useFactory: (registry: ResilienceRegistry) =>
        registry.names.has(group, name) ? registry.named(group, name, provide) : undefined,
    });
  };
  for (const group of INJECTED_GROUPS) {
    for (const name of Object.keys(options?.[group] ?? {})) want(group, name);
  }
  for (const { group, name } of everyAskedName()) want(group, name);
  return [...wanted.values()];
}

/** Lets `app.get(getCircuitBreakerToken(name))` find names that came late, from `forRootAsync`. */
export function publishConfigured(
  registry: ResilienceRegistry,
  modules: ModulesContainer,
  moduleClass: object,
): void {
  const module = [...modules.values()].find(({ metatype }) => metatype === moduleClass);
  for (const group of INJECTED_GROUPS) {
    for (const name of registry.names.in(group)) {
      const provide = tokenOf(group, name);
      if (module === undefined || module.providers.has(provide)) continue;
      module.addProvider({ provide, useValue: registry.named(group, name, provide) });
      module.addExportedProviderOrModule(provide);
    }
  }
}

/** Takes away the providers of names unknown here: who asks from now on gets Nest's error, not `undefined`. */
export function forgetUnknown(registry: ResilienceRegistry, modules: ModulesContainer): void {
  for (const { providers } of modules.values()) {
    for (const token of providers.keys()) {
      const named = nameBehind(token);
      if (named && !registry.names.has(named.group, named.name)) providers.delete(token);
    }
  }
}
