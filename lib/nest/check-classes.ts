import type { ModulesContainer } from '@nestjs/core';
import type { Issues } from '../core/validation.js';
import { classesIn, wrappersIn } from './application-classes.js';
import { type AskedName, namesAskedBy } from './inject.js';
import { unknownName } from './messages.js';
import { resolveMethods } from './protected-classes.js';
import type { ResilienceRegistry } from './registry.js';

/** Finds what the providers and classes that a container holds ask of the application and it does not have. */
export function checkClasses(
  modules: ModulesContainer,
  registry: ResilienceRegistry,
  issues: Issues,
): void {
  for (const wrapper of wrappersIn(modules)) checkNames(namesAskedBy(wrapper), registry, issues);
  for (const type of classesIn(modules)) {
    for (const host of [type.prototype as unknown, type]) resolveMethods(host, registry, issues);
  }
}

function checkNames(
  asked: readonly AskedName[],
  registry: ResilienceRegistry,
  issues: Issues,
): void {
  for (const { group, name, where } of asked) {
    if (registry.names.has(group, name)) continue;
    issues.list.push(unknownName(group, name, where, registry.names.in(group)));
  }
}
