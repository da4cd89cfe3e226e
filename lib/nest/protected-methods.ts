import type { Work } from '../core/context.js';
import type { PolicySpec } from './policy-spec.js';
import { processWide } from '../core/process-wide.js';
import { levelsOf } from './levels.js';

/** A decorated method: what stands around it, until an application resolves it. */
export interface ProtectedMethod {
  /** Its place in every registry's list of compiled pipelines. */
  readonly id: number;
  /** `OrdersService.charge`, for names, ids and messages. */
  readonly place: string;
  /** The prototype (or class, for a static method) that declares it. */
  readonly target: object;
  readonly key: string | symbol;
  readonly original: Work;
  /** Outermost first: the order in which the decorators read. */
  readonly specs: readonly PolicySpec[];
}

const known = processWide('protected-methods', () => ({
  byWrapper: new WeakMap<object, ProtectedMethod>(),
  /** Somebody else's decorator may have hidden the wrapper in one of its own, so the place is known too. */
  byPlace: new WeakMap<object, Map<string | symbol, readonly ProtectedMethod[]>>(),
  nextId: 0,
}));

/** @param extended the record that this one takes the place of */
export function recordProtectedMethod(
  wrapperFor: (method: ProtectedMethod) => Work,
  details: Omit<ProtectedMethod, 'id'>,
  extended?: ProtectedMethod,
): Work {
  const { byWrapper, byPlace } = known;
  const method = { id: known.nextId++, ...details };
  const wrapper = wrapperFor(method);
  byWrapper.set(wrapper, method);
  const onTarget = byPlace.get(method.target) ?? new Map<string | symbol, ProtectedMethod[]>();
  const inside = recordsAt(method).filter((each) => each !== extended);
  byPlace.set(method.target, onTarget.set(method.key, [method, ...inside]));
  return wrapper;
}

/** The record behind a wrapper of ours; `undefined` for any other function. */
export function protectedMethodOf(value: unknown): ProtectedMethod | undefined {
  return typeof value === 'function' ? known.byWrapper.get(value) : undefined;
}

/**
 * All that stands on the method of one prototype, outermost first: more than one record where somebody
 * else's decorator stands between ours.
 */
export function recordsAt({
  target,
  key,
}: Pick<ProtectedMethod, 'target' | 'key'>): readonly ProtectedMethod[] {
  return known.byPlace.get(target)?.get(key) ?? [];
}

/**
 * The decorated methods, inherited ones included: those that instances have, of a class's prototype, or the
 * static ones, of the class itself.
 */
export function protectedMethodsOf(host: unknown): ProtectedMethod[] {
  const methods = new Set<ProtectedMethod>();
  for (const level of levelsOf(host)) {
    for (const key of Reflect.ownKeys(level)) {
      const method = protectedMethodOf(Object.getOwnPropertyDescriptor(level, key)?.value);
      if (method !== undefined) methods.add(method);
      for (const record of recordsAt({ target: level, key })) methods.add(record);
    }
  }
  return [...methods];
}
