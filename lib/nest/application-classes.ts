import type { Type } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';

/** Everything that one application's container holds: providers, controllers, guards, interceptors, middleware. */
export function* wrappersIn(modules: ModulesContainer): Iterable<InstanceWrapper> {
  for (const module of modules.values()) {
    yield* module.providers.values();
    yield* module.controllers.values();
    yield* module.injectables.values();
    yield* module.middlewares.values();
  }
}

/** The classes that Nest makes instances of in one application. */
export function classesIn(modules: ModulesContainer): Set<Type> {
  const classes = new Set<Type>();
  for (const { metatype, inject } of wrappersIn(modules)) {
    if (typeof metatype === 'function' && inject === undefined) classes.add(metatype as Type);
  }
  return classes;
}
