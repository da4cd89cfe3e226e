import { Inject } from '@nestjs/common';
import {
  OPTIONAL_DEPS_METADATA,
  OPTIONAL_PROPERTY_DEPS_METADATA,
  PROPERTY_DEPS_METADATA,
  SELF_DECLARED_DEPS_METADATA,
} from '@nestjs/common/constants.js';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import { requireCall, requireExperimental } from './misused-decorators.js';
import { type NamedToken, getCircuitBreakerToken, getPolicyToken, nameBehind } from './tokens.js';

/** A name that a provider asks for. */
export interface AskedName extends NamedToken {
  /** For messages: `OrdersService, constructor parameter 1`. */
  readonly where: string;
}

/**
 * Injects a circuit breaker by its name, as a constructor parameter or a property.
 *
 * @example
 * constructor(@InjectCircuitBreaker('payments') private readonly payments: CircuitBreaker) {}
 */
export function InjectCircuitBreaker(name: string): PropertyDecorator & ParameterDecorator {
  requireCall('InjectCircuitBreaker', name);
  return injecting('InjectCircuitBreaker', getCircuitBreakerToken(name));
}

/** Injects a named policy, as a constructor parameter or a property. */
export function InjectPolicy(name: string): PropertyDecorator & ParameterDecorator {
  requireCall('InjectPolicy', name);
  return injecting('InjectPolicy', getPolicyToken(name));
}

function injecting(decorator: string, token: string): PropertyDecorator & ParameterDecorator {
  const inject = Inject(token);
  return (target: object, key: string | symbol | undefined, index?: number) => {
    requireExperimental(decorator, key);
    inject(target, key, index as number);
  };
}

/** What a provider cannot do without, by name: in its class (or one it extends) or its factory's `inject`. */
export function namesAskedBy({ metatype, inject, token }: InstanceWrapper): AskedName[] {
  const places = inject ? placesInFactory(inject, String(token)) : placesInClass(metatype);
  return places.flatMap(([where, wanted]) => {
    const named = nameBehind(wanted);
    return named === undefined ? [] : [{ ...named, where }];
  });
}

type Place = readonly [where: string, token: unknown];
/** As Nest keeps them. */
type Parameter = { readonly index: number; readonly param: unknown };
type Property = { readonly key: PropertyKey; readonly type: unknown };

function placesInFactory(inject: readonly unknown[], name: string): Place[] {
  return inject.flatMap((entry, index) => {
    const given = (entry ?? {}) as { token?: unknown; optional?: boolean };
    if (given.optional === true) return [];
    return [[`provider "${name}", inject[${String(index)}]`, given.token ?? entry]];
  });
}

/** Read where Nest reads it, which knows about inheritance; of one index, the last entry counts. */
function placesInClass(type: unknown): Place[] {
  if (typeof type !== 'function') return [];
  const parameters = (Reflect.getMetadata(SELF_DECLARED_DEPS_METADATA, type) ?? []) as Parameter[];
  const properties = (Reflect.getMetadata(PROPERTY_DEPS_METADATA, type) ?? []) as Property[];
  const byIndex = new Map(parameters.map(({ index, param }) => [index, param]));
  for (const index of optionalParameters(type)) byIndex.delete(index);
  const optional = (Reflect.getMetadata(OPTIONAL_PROPERTY_DEPS_METADATA, type) ??
    []) as PropertyKey[];
  return [
    ...[...byIndex].map(([index, param]): Place => [
      `${type.name}, constructor parameter ${String(index)}`,
      param,
    ]),
    ...properties
      .filter(({ key }) => !optional.includes(key))
      .map(({ key, type: wanted }): Place => [`${type.name}.${String(key)}`, wanted]),
  ];
}

/** Of the constructor that asks: one that it replaces may have had others. */
function optionalParameters(type: object): readonly number[] {
  let owner: object | null = type;
  while (owner !== null && !Reflect.hasOwnMetadata(SELF_DECLARED_DEPS_METADATA, owner)) {
    owner = Object.getPrototypeOf(owner) as object | null;
  }
  return owner === null
    ? []
    : ((Reflect.getOwnMetadata(OPTIONAL_DEPS_METADATA, owner) ?? []) as number[]);
}
