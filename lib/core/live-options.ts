import { Issues, type Schema, readOptions, show } from './validation.js';

/** Options of a policy: those that were given, so that a change leaves the defaults of the rest in force, and as they are in force. */
export interface LiveOptions<T extends object> {
  readonly given: object;
  readonly inForce: T;
}

/** The options that were given, as they were read then: their owner may write into the object later. */
export function givenOptions<T extends object>(
  options: object | undefined,
  inForce: T,
): Partial<T> {
  const own = new Map<string, unknown>(Object.entries(options ?? {}));
  const given = Object.entries(inForce).filter(([key]) => own.get(key) !== undefined);
  return Object.fromEntries(given) as Partial<T>;
}

/**
 * A change that is planned now, so that it fails now, and planned again when it is made: what others
 * have changed in between stays. What their owner writes into `changes` in between does not count.
 */
export function prepared<C>(changes: C, plan: (changes: C) => () => void): () => void {
  const asked = copyOf(changes, DEEPEST) as C;
  plan(asked);
  return () => plan(asked)();
}

/** Group, name, option, and what the option consists of. */
const DEEPEST = 4;

/** Of plain objects; policies, filters and whatever else stand in them are taken as they are. */
function copyOf(value: unknown, depth: number): unknown {
  if (depth === 0 || !isPlainObject(value)) return value;
  const entries = Object.entries(value).map(([key, part]) => [key, copyOf(part, depth - 1)]);
  return Object.fromEntries(entries);
}

function isPlainObject(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** What others have built on: a policy is known by its name, and timings stand in compiled pipelines. */
const FIXED = ['name', 'timings'] as const;

/**
 * Checks a change as a whole and gives the options that it leads to. An `undefined` option counts as
 * absent: it stays as it is.
 * @param check adds what no single option can tell
 * @throws ResilienceConfigError naming every option that breaks its rule, or that cannot change
 */
export function changedOptions<T extends object>(
  { given, inForce }: LiveOptions<T>,
  changes: unknown,
  schema: Schema<T>,
  path: string,
  check?: (changed: T, issues: Issues) => void,
): LiveOptions<T> {
  const issues = new Issues();
  if (typeof changes !== 'object' || changes === null || Array.isArray(changes)) {
    issues.add(path, 'must be an object of options', changes);
    issues.throwIfAny();
  }
  const defined = Object.entries(changes as object).filter(([, value]) => value !== undefined);
  const merged = { ...given, ...Object.fromEntries(defined) };
  const changed = readOptions(schema, merged, path, issues);
  requireFixed(inForce, changed, path, issues);
  if (issues.list.length === 0) check?.(changed, issues);
  issues.throwIfAny();
  return { given: givenOptions(merged, changed), inForce: changed };
}

/** Refuses a change of what cannot change. */
export function requireFixed(before: object, after: object, path: string, issues: Issues): void {
  for (const key of FIXED) requireSame(key, before, after, path, issues);
}

function requireSame(
  key: string,
  before: object,
  after: object,
  path: string,
  issues: Issues,
): void {
  const [was, is] = [before, after].map((options) => (options as Record<string, unknown>)[key]);
  if (was === is) return;
  issues.list.push(`${path}.${key} cannot change while the policy works, got ${show(is)}`);
}

/** `mode`, as every policy has it that can reject. */
export type EnforcementMode = 'enforce' | 'shadow';
