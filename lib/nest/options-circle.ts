import { type InjectionToken, Scope, type Type } from '@nestjs/common';
import {
  PARAMTYPES_METADATA,
  PROPERTY_DEPS_METADATA,
  SELF_DECLARED_DEPS_METADATA,
} from '@nestjs/common/constants.js';
import { LazyModuleLoader, ModuleRef, type ModulesContainer } from '@nestjs/core';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import { hasProtectedMethods } from './registry-binding.js';
import type { RegistryHandle } from './registry-handle.js';
import { MODULE_OPTIONS } from './tokens.js';

/** Who has them can ask for any provider, which no metadata tells. */
const REACH_ANY: readonly unknown[] = [ModuleRef, LazyModuleLoader];

/**
 * The handle of an application, filled wherever it can be: then decorated methods that a constructor or
 * a factory calls have its registry. Not where that would be to wait for oneself, for which Nest 11 ends
 * the process without a word.
 */
export function handleFor(
  handle: RegistryHandle,
  modules: ModulesContainer,
): RegistryHandle | Promise<RegistryHandle> {
  if (optionsNeedRegistry(modules)) return handle;
  return new Promise((resolve) => {
    handle.whenFilled(() => {
      resolve(handle);
    });
  });
}

/**
 * Whether the module's options may come from an instance that asks for the registry, which is made of
 * them. Takes all providers of a token for the one meant: a circle that is none costs less than one missed.
 */
function optionsNeedRegistry(modules: ModulesContainer): boolean {
  const reached = new Set<unknown>([MODULE_OPTIONS]);
  for (const token of reached) {
    if (REACH_ANY.includes(token)) return true;
    for (const { providers } of modules.values()) {
      const wrapper = providers.get(token as InjectionToken);
      if (wrapper === undefined) continue;
      if (waitsForRegistry(wrapper)) return true;
      for (const each of tokensAskedBy(wrapper)) reached.add(each);
    }
  }
  return false;
}

/** With options that are made for each request, no registry is made at start-up. */
function waitsForRegistry(wrapper: InstanceWrapper): boolean {
  const type = classOf(wrapper);
  return (
    wrapper.scope === Scope.REQUEST || (type !== undefined && hasProtectedMethods(type.prototype))
  );
}

function tokensAskedBy(wrapper: InstanceWrapper): unknown[] {
  const type = classOf(wrapper);
  const asked = type === undefined ? (wrapper.inject ?? []) : tokensInClass(type);
  return asked.map(unwrapped);
}

/** The class of an instance that Nest makes by `new`: of a factory, it calls the `metatype`. */
function classOf({
  metatype,
  inject,
}: InstanceWrapper): { readonly prototype: object } | undefined {
  return typeof metatype === 'function' && !Array.isArray(inject)
    ? (metatype as Type<object>)
    : undefined;
}

/** Read where Nest reads it. */
function tokensInClass(type: object): unknown[] {
  const listed = (key: string): unknown[] => (Reflect.getMetadata(key, type) ?? []) as unknown[];
  const parameters = listed(SELF_DECLARED_DEPS_METADATA) as { readonly param: unknown }[];
  const properties = listed(PROPERTY_DEPS_METADATA) as { readonly type: unknown }[];
  return [
    ...listed(PARAMTYPES_METADATA),
    ...parameters.map(({ param }) => param),
    ...properties.map(({ type: wanted }) => wanted),
  ];
}

/** The token in `{ token, optional }` and in `forwardRef(() => token)`. */
function unwrapped(asked: unknown): unknown {
  if (typeof asked !== 'object' || asked === null) return asked;
  const { token, forwardRef } = asked as { token?: unknown; forwardRef?: () => unknown };
  if (token !== undefined) return unwrapped(token);
  return forwardRef === undefined ? asked : forwardRef();
}
