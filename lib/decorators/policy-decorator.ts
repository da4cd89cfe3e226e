import type { Work } from '../core/context.js';
import { ResilienceConfigError } from '../core/errors.js';
import { isListener } from '../nest/events/subscriptions.js';
import { requireCall, requireExperimental } from '../nest/misused-decorators.js';
import { fallbackToItself } from '../nest/messages.js';
import type { PolicySpec } from '../nest/policy-spec.js';
import { protectMethod } from '../nest/protect-method.js';

/** What Nest calls itself, when an application or a connection begins or ends, and what the language calls. */
const NOT_COVERED = new Set<unknown>([
  'constructor',
  'onModuleInit',
  'onApplicationBootstrap',
  'onModuleDestroy',
  'beforeApplicationShutdown',
  'onApplicationShutdown',
  'afterInit',
  'handleConnection',
  'handleDisconnect',
  'toString',
  'toLocaleString',
  'toJSON',
  'valueOf',
  'then',
  ...Object.values(Object.getOwnPropertyDescriptors(Symbol))
    .map(({ value }): unknown => value)
    .filter((value) => typeof value === 'symbol'),
]);

/**
 * Whether calls of the method are ones that a policy should stand around: Node's own symbols are for Node, and a
 * listener must hear of the very policy that turns calls away.
 */
function isCovered(target: object, key: string | symbol, method: object): boolean {
  if (NOT_COVERED.has(key) || isListener(target, key, method)) return false;
  return typeof key === 'string' || Symbol.keyFor(key)?.startsWith('nodejs.') !== true;
}

type Decorated = (target: object, key?: string | symbol, descriptor?: PropertyDescriptor) => void;

/** The one decorator behind all: on a method, or on a class for all its own methods. */
export function policyDecorator(decorator: string, spec: PolicySpec): Decorated {
  requireCall(decorator, spec.given);
  return (target, key, descriptor) => {
    requireExperimental(decorator, key);
    if (key === undefined) {
      decorateClass(decorator, spec, target as { prototype: object });
      return;
    }
    const method: unknown = descriptor?.value;
    if (typeof method !== 'function') {
      throw new TypeError(
        `@${decorator}() can only decorate methods and classes; "${placeOf(target, key)}" is ${whatIs(descriptor)}`,
      );
    }
    const site = { target, key, place: placeOf(target, key) };
    if (key === answeringMethod(spec))
      throw new ResilienceConfigError([fallbackToItself(site.place)]);
    (descriptor as PropertyDescriptor).value = protectMethod(site, method as Work, spec);
  };
}

function decorateClass(decorator: string, spec: PolicySpec, type: { prototype: object }): void {
  const target = type.prototype;
  const methods = Reflect.ownKeys(target).filter((key) => {
    const method: unknown = Object.getOwnPropertyDescriptor(target, key)?.value;
    if (typeof method !== 'function' || key === answeringMethod(spec)) return false;
    return isCovered(target, key, method);
  });
  if (methods.length === 0) {
    throw new ResilienceConfigError([
      `@${decorator}() on class ${placeOf(target)}: it has no method of its own to protect`,
    ]);
  }
  for (const key of methods) {
    const site = { target, key, place: placeOf(target, key) };
    const method = (target as Record<string | symbol, Work>)[key] as Work;
    Object.defineProperty(target, key, { value: protectMethod(site, method, spec) });
  }
}

/** The method that a fallback answers with: under the same fallback it would answer itself for ever. */
function answeringMethod(spec: PolicySpec): string | undefined {
  return 'method' in spec ? spec.method : undefined;
}

function placeOf(target: object, key?: string | symbol): string {
  const { name } = typeof target === 'function' ? target : target.constructor;
  return key === undefined ? name : `${name}.${String(key)}`;
}

function whatIs(descriptor: PropertyDescriptor | undefined): string {
  return descriptor?.get || descriptor?.set ? 'an accessor' : 'a property';
}
