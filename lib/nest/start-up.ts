import type { ModulesContainer } from '@nestjs/core';
import { RetryBudget } from '../core/retry/retry-budget.js';
import { Issues } from '../core/validation.js';
import { checkClasses } from './check-classes.js';
import { featuresIn, isFeature } from './features.js';
import { SECOND_ROOT, unknownName } from './messages.js';
import { type ResolvedModuleOptions, readFeatureOptions } from './module-schema.js';
import type { DefaultOptions } from './named-options.js';
import { nestLogger } from './nest-logger.js';
import { adoptOverrides } from './overrides.js';
import { PARTS } from './parts.js';
import { collect } from './collect.js';
import { ResilienceRegistry } from './registry.js';

/** The classes of the two modules that `forRoot` imports. */
export interface RootModules {
  readonly core: object;
  /** Provides what is named. */
  readonly root: object;
}

/**
 * Makes an application's registry and everything that can be known before the first call, from the root
 * options, the feature modules, and what its classes ask for.
 *
 * @param read checks the root options, and tells what is wrong with them
 * @throws ResilienceConfigError with every problem of the application at once
 */
export function startRegistry(
  read: (issues: Issues) => ResolvedModuleOptions,
  modules: ModulesContainer,
  { core, root }: RootModules,
): ResilienceRegistry {
  const issues = new Issues();
  if (countOf(core, modules) > 1) issues.list.push(SECOND_ROOT);
  const options = read(issues);
  const features = featuresIn(modules).map((each) => readFeatureOptions(each, issues));
  const budgets = [options, ...features].flatMap((each) => Object.keys(each.budgets ?? {}));
  const registry = new ResilienceRegistry({
    runtime: { logger: nestLogger(), ...options.runtime },
    defaults: soundDefaults(options.defaults, budgets, issues),
    http: options.http,
    history: options.events.history,
  });
  registry.names.add(options, issues);
  for (const feature of features) registry.names.add(feature, issues);
  adoptOverrides(registry, modules, (each) => each === root || isFeature(each));
  registry.makeConfigured(issues);
  checkClasses(modules, registry, issues);
  issues.throwIfAny();
  return registry;
}

function countOf(moduleClass: object, modules: ModulesContainer): number {
  return [...modules.values()].filter(({ metatype }) => metatype === moduleClass).length;
}

/** Bad defaults are reported once, and not again for everything that they stand under. */
function soundDefaults(
  defaults: DefaultOptions = {},
  budgets: readonly string[],
  issues: Issues,
): DefaultOptions {
  const sound: Record<string, unknown> = { ...defaults };
  for (const part of Object.values(PARTS)) {
    const { defaults: key } = part;
    if (key === undefined || sound[key] === undefined) continue;
    const before = issues.list.length;
    const { budget } = sound[key] as { budget?: unknown };
    // Whether the part takes one is for the part to tell; whether there is one of that name, for us.
    const named = typeof budget === 'string' ? { budget: new RetryBudget() } : {};
    const given = { ...part.leastOptions, ...(sound[key] as object), ...named };
    collect(issues, () => part.make(given, { name: 'defaults' }));
    if (issues.list.length === before && typeof budget === 'string' && !budgets.includes(budget)) {
      issues.list.push(unknownName('budgets', budget, `options.defaults.${key}`, budgets));
    }
    if (issues.list.length > before) sound[key] = undefined;
  }
  return sound;
}
