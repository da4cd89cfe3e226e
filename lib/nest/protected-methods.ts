import type { Work } from '../core/context.js';
import type { PolicySpec } from './policy-spec.js';

/** A decorated method: what stands around it, until an application resolves it. */
export interface ProtectedMethod {
  /** Its place in every registry's list of compiled pipelines. */
  readonly id: number;
  /** `OrdersService.charge`, for names, ids and messages. */
  readonly place: string;
  /** The prototype (or class, for a static method) that declares it. */
  readonly target: object;
  readonly original: Work;
  /** Outermost first: the order in which the decorators read. */
  readonly specs: readonly PolicySpec[];
}

const byWrapper = new WeakMap<object, ProtectedMethod>();
let nextId = 0;

export function recordProtectedMethod(
  wrapperFor: (method: ProtectedMethod) => Work,
  details: Omit<ProtectedMethod, 'id'>,
): Work {
  const method = { id: nextId++, ...details };
  const wrapper = wrapperFor(method);
  byWrapper.set(wrapper, method);
  return wrapper;
}

/** The record behind a wrapper of ours; `undefined` for any other function. */
export function protectedMethodOf(value: unknown): ProtectedMethod | undefined {
  return typeof value === 'function' ? byWrapper.get(value) : undefined;
}

/** The decorated methods that instances of a class have, inherited ones included. */
export function protectedMethodsOf(type: { readonly prototype?: unknown }): ProtectedMethod[] {
  const methods: ProtectedMethod[] = [];
  let level: unknown = type.prototype;
  while (typeof level === 'object' && level !== null && level !== Object.prototype) {
    for (const key of Reflect.ownKeys(level)) {
      const method = protectedMethodOf(Object.getOwnPropertyDescriptor(level, key)?.value);
      if (method !== undefined) methods.push(method);
    }
    level = Object.getPrototypeOf(level);
  }
  return methods;
}
