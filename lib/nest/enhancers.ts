import {
  EXCEPTION_FILTERS_METADATA,
  GUARDS_METADATA,
  INTERCEPTORS_METADATA,
  PIPES_METADATA,
  ROUTE_ARGS_METADATA,
} from '@nestjs/common/constants.js';
import type { ApplicationConfig } from '@nestjs/core';
import { levelsOf } from './levels.js';

const ENHANCERS = [
  GUARDS_METADATA,
  INTERCEPTORS_METADATA,
  PIPES_METADATA,
  EXCEPTION_FILTERS_METADATA,
];

/** The guards, interceptors, pipes and filters of a class, its methods and their parameters, as they were given. */
export function enhancersOf(prototype: unknown): unknown[] {
  if (typeof prototype !== 'object' || prototype === null) return [];
  const type: unknown = prototype.constructor;
  if (typeof type !== 'function') return [];
  const methods = methodsOf(prototype);
  return [
    ...[type, ...methods.values()].flatMap(enhancersAt),
    ...[...methods.keys()].flatMap((key) => pipesOfParameters(type, key)),
  ];
}

/** Those that were given to the whole application before it was initialised. */
export function globalEnhancersOf(config: ApplicationConfig): unknown[] {
  return [
    ...config.getGlobalGuards(),
    ...config.getGlobalInterceptors(),
    ...config.getGlobalPipes(),
    ...config.getGlobalFilters(),
  ];
}

/** By name, inherited ones included, but not those that are overridden. */
function methodsOf(prototype: object): Map<string, object> {
  const methods = new Map<string, object>();
  for (const level of levelsOf(prototype)) {
    for (const [key, { value }] of Object.entries(Object.getOwnPropertyDescriptors(level))) {
      const method: unknown = value;
      if (typeof method === 'function' && key !== 'constructor' && !methods.has(key)) {
        methods.set(key, method);
      }
    }
  }
  return methods;
}

function enhancersAt(host: object): unknown[] {
  return ENHANCERS.flatMap((key) => (Reflect.getMetadata(key, host) ?? []) as unknown[]);
}

function pipesOfParameters(type: object, method: string): unknown[] {
  const parameters: unknown = Reflect.getMetadata(ROUTE_ARGS_METADATA, type, method) ?? {};
  return Object.values(parameters as Record<string, { pipes?: unknown[] }>).flatMap(
    ({ pipes }) => pipes ?? [],
  );
}
