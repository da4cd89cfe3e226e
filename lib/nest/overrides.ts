import type { Type } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';
import { CircuitBreaker } from '../core/circuit-breaker/circuit-breaker.js';
import { Policy } from '../core/policy.js';
import type { ResilienceRegistry } from './registry.js';
import { type InjectedGroup, nameBehind } from './tokens.js';

/**
 * Takes in the policies that a testing module puts in the place of named ones, by `overrideProvider`, so
 * that decorators meet them too. The providers of this library hold nothing yet when the registry is made.
 *
 * @param isOurs tells the modules that provide named policies: in others a token is for them alone
 */
export function adoptOverrides(
  registry: ResilienceRegistry,
  modules: ModulesContainer,
  isOurs: (moduleClass: Type) => boolean,
): void {
  for (const { metatype, providers } of modules.values()) {
    if (!isOurs(metatype)) continue;
    for (const [token, { instance }] of providers) {
      const named = nameBehind(token);
      const policy: unknown = instance;
      if (named && stands(policy, named.group)) registry.replace(named.group, named.name, policy);
    }
  }
}

function stands(value: unknown, group: InjectedGroup): value is Policy {
  return value instanceof (group === 'circuitBreakers' ? CircuitBreaker : Policy);
}
