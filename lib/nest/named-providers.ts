import type { FactoryProvider } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';
import { everyAskedName } from './inject.js';
import type { NamedOptions } from './named-options.js';
import type { ResilienceRegistry } from './registry.js';
import { REGISTRY, getCircuitBreakerToken, getPolicyToken } from './tokens.js';

const TOKENS = { circuitBreakers: getCircuitBreakerToken, policies: getPolicyToken } as const;
type InjectedGroup = keyof typeof TOKENS;

/**
 * Providers for the names in `options` and for every name that some class asks for. A name of another
 * application in this process gives `undefined` here; one that this application's classes ask for and
 * nobody configured has stopped the start by then.
 */
export function namedProviders(options: NamedOptions): FactoryProvider[] {
  const wanted = new Map<string, FactoryProvider>();
  const want = (group: InjectedGroup, name: string): void => {
    const provide = TOKENS[group](name);
    wanted.set(provide, {
      provide,
      inject: [REGISTRY],
      useFactory: (registry: ResilienceRegistry) =>
        registry.has(group, name) ? registry.named(group, name, provide) : undefined,
    });
  };
  for (const group of ['circuitBreakers', 'policies'] as const) {
    for (const name of Object.keys(options[group] ?? {})) want(group, name);
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
  for (const group of ['circuitBreakers', 'policies'] as const) {
    for (const name of registry.names(group)) {
      const provide = TOKENS[group](name);
      if (module === undefined || module.providers.has(provide)) continue;
      module.addProvider({ provide, useValue: registry.named(group, name, provide) });
      module.addExportedProviderOrModule(provide);
    }
  }
}
