import type { ModulesContainer } from '@nestjs/core';
import { ResilienceConfigError } from '../core/errors.js';
import { Issues } from '../core/validation.js';
import { classesIn } from './application-classes.js';
import { featuresIn } from './features.js';
import { namesAskedBy } from './inject.js';
import { SECOND_ROOT, unknownName } from './messages.js';
import { type ResilienceModuleOptions, checkModuleOptions } from './module-options.js';
import type { DefaultOptions } from './named-options.js';
import { nestLogger } from './nest-logger.js';
import { PARTS } from './parts.js';
import { protectedMethodsOf } from './protected-methods.js';
import { ResilienceRegistry, collect } from './registry.js';

/**
 * Makes an application's registry and everything that can be known before the first call, from the root
 * options, the feature modules, and what its classes ask for.
 * @throws ResilienceConfigError with every problem of the application at once
 */
export function startRegistry(
  given: ResilienceModuleOptions,
  modules: ModulesContainer,
  rootModule: object,
): ResilienceRegistry {
  const issues = new Issues();
  if (countOf(rootModule, modules) > 1) issues.list.push(SECOND_ROOT);
  const options = checkModuleOptions(given, issues);
  checkDefaults(options.defaults, issues);
  const registry = new ResilienceRegistry({
    runtime: { logger: nestLogger(), ...options.runtime },
    defaults: options.defaults,
  });
  registry.configure(options, issues);
  for (const feature of featuresIn(modules)) registry.configure(feature, issues);
  registry.makeConfigured(issues);
  for (const type of classesIn(modules)) checkClass(type, registry, issues);
  if (issues.list.length > 0) throw new ResilienceConfigError([...new Set(issues.list)]);
  return registry;
}

function countOf(rootModule: object, modules: ModulesContainer): number {
  return [...modules.values()].filter(({ metatype }) => metatype === rootModule).length;
}

function checkDefaults(defaults: DefaultOptions | undefined, issues: Issues): void {
  for (const part of Object.values(PARTS)) {
    const given = part.defaults && defaults?.[part.defaults];
    if (given) collect(issues, () => part.make(given, { name: 'defaults' }));
  }
}

function checkClass(
  type: { readonly prototype?: unknown },
  registry: ResilienceRegistry,
  issues: Issues,
): void {
  for (const { group, name, where } of namesAskedBy(type)) {
    if (!registry.has(group, name)) {
      issues.list.push(unknownName(group, name, where, registry.names(group)));
    }
  }
  for (const method of protectedMethodsOf(type)) collect(issues, () => registry.pipelineOf(method));
}
