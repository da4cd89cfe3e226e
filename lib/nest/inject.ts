import { Inject } from '@nestjs/common';
import { getCircuitBreakerToken, getPolicyToken } from './tokens.js';

/** A name that a class asks for; known at decoration time, which is what lets `forRootAsync` provide it. */
export interface AskedName {
  readonly group: 'circuitBreakers' | 'policies';
  readonly name: string;
  /** For messages: `OrdersService, constructor parameter 1`. */
  readonly where: string;
}

const byClass = new WeakMap<object, AskedName[]>();
const everAsked = new Map<string, AskedName>();

/** What a class asks for by name. */
export function namesAskedBy(type: object): readonly AskedName[] {
  return byClass.get(type) ?? [];
}

/** Every name asked for in this process, one entry each: an application provides those it knows. */
export function everyAskedName(): readonly AskedName[] {
  return [...everAsked.values()];
}

/**
 * Injects a circuit breaker by its name, as a constructor parameter or a property.
 *
 * @example
 * constructor(@InjectCircuitBreaker('payments') private readonly payments: CircuitBreaker) {}
 */
export function InjectCircuitBreaker(name: string): PropertyDecorator & ParameterDecorator {
  return injectNamed('circuitBreakers', name, getCircuitBreakerToken(name));
}

/** Injects a named policy, as a constructor parameter or a property. */
export function InjectPolicy(name: string): PropertyDecorator & ParameterDecorator {
  return injectNamed('policies', name, getPolicyToken(name));
}

function injectNamed(
  group: AskedName['group'],
  name: string,
  token: string,
): PropertyDecorator & ParameterDecorator {
  return (target: object, key?: string | symbol, index?: number) => {
    const type = typeof target === 'function' ? target : target.constructor;
    const where =
      index === undefined
        ? `${type.name}.${String(key)}`
        : `${type.name}, constructor parameter ${String(index)}`;
    const asked = { group, name, where };
    byClass.set(type, [...(byClass.get(type) ?? []), asked]);
    everAsked.set(token, asked);
    (Inject(token) as (target: object, key?: string | symbol, index?: number) => void)(
      target,
      key,
      index,
    );
  };
}
