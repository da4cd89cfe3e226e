import { INTERCEPTORS_METADATA } from '@nestjs/common/constants.js';
import { type ProtectedMethod, protectedMethodsOf } from '../protected-methods.js';

/** What the resilience interceptors of a method and of its class have around it: a record for each. */
export function interceptorsAround({ target, key }: ProtectedMethod): ProtectedMethod[] {
  const method: unknown = Object.getOwnPropertyDescriptor(target, key)?.value;
  const hosts = [target.constructor, method].filter((host) => typeof host === 'function');
  return hosts
    .flatMap((host) => (Reflect.getMetadata(INTERCEPTORS_METADATA, host) ?? []) as unknown[])
    .flatMap(handlersOf);
}

/** Of `ResilienceInterceptor`, which protects its `handle`. */
function handlersOf(interceptor: unknown): ProtectedMethod[] {
  const prototype: unknown =
    typeof interceptor === 'function' ? interceptor.prototype : Object.getPrototypeOf(interceptor);
  return protectedMethodsOf(prototype).filter(({ key }) => key === 'handle');
}
