import type { Provider } from '@nestjs/common';
import { ResilienceConfigError } from '../core/errors.js';
import { type Field, Issues, type Schema, boolean, callback, show } from '../core/validation.js';
import { noOptionsFactory } from './messages.js';
import type { ResilienceModuleAsyncOptions, ResilienceOptionsFactory } from './module-options.js';
import { readGiven } from './module-schema.js';
import { MODULE_OPTIONS } from './tokens.js';

const list = optional(Array.isArray, 'must be a list');
const asyncSchema: Schema<Record<keyof ResilienceModuleAsyncOptions, unknown>> = {
  imports: list,
  inject: list,
  useFactory: { rule: callback(), default: undefined },
  useClass: optional((value) => typeof value === 'function', 'must be a class'),
  useExisting: optional((value) => value !== null, 'must be the token of a provider'),
  isGlobal: { rule: boolean(), default: true },
};

/**
 * The provider of options that come from other providers, and what it takes.
 * @throws ResilienceConfigError
 */
export function asyncProviders(options: ResilienceModuleAsyncOptions): Provider[] {
  const issues = new Issues();
  readGiven(asyncSchema, options, 'forRootAsync()', issues);
  issues.throwIfAny();
  const { inject = [], useFactory, useClass, useExisting } = options;
  const given = [useFactory, useClass, useExisting].filter((each) => each !== undefined);
  if (given.length !== 1) {
    throw new ResilienceConfigError([
      `ResilienceModule.forRootAsync() takes exactly one of useFactory, useClass, useExisting, got ${String(given.length)}`,
    ]);
  }
  if (useFactory) return [{ provide: MODULE_OPTIONS, inject, useFactory }];
  const token = useClass ?? useExisting;
  const provider: Provider = {
    provide: MODULE_OPTIONS,
    inject: [token as never],
    useFactory: (factory: unknown) =>
      requireFactory(factory, useClass ? 'useClass' : 'useExisting').createResilienceOptions(),
  };
  return useClass ? [useClass, provider] : [provider];
}

function requireFactory(
  factory: unknown,
  way: 'useClass' | 'useExisting',
): ResilienceOptionsFactory {
  const { createResilienceOptions } = (factory ?? {}) as { createResilienceOptions?: unknown };
  if (typeof createResilienceOptions === 'function') return factory as ResilienceOptionsFactory;
  const got =
    typeof factory === 'object' && factory !== null
      ? `an object of ${factory.constructor.name}`
      : show(factory);
  throw new ResilienceConfigError([noOptionsFactory(way, got)]);
}

function optional(accepts: (value: unknown) => boolean, problem: string): Field<unknown> {
  return {
    rule: (value) => (accepts(value) ? { value: value as object } : { problem }),
    default: undefined,
  };
}
