import { isAsyncFunction } from 'node:util/types';
import { distance } from 'fastest-levenshtein';
import { policyBrand } from './brand.js';
import { type Duration, MAX_DURATION, parseDuration } from './duration.js';
import { ResilienceConfigError } from './errors.js';

/** Reads one field: the value to use, or a sentence for the list of problems. */
export type Rule<T> = (value: unknown) => { value: T } | Problem;

/** What is wrong with a value, or with several fields inside it. */
export type Problem = { readonly problem: string } | { readonly problems: readonly string[] };

/** How each option is read, and what it is when absent. */
export type Schema<T> = { readonly [K in keyof T]-?: Field<T[K]> };
export interface Field<T> {
  readonly rule: Rule<Exclude<T, undefined>>;
  readonly default: T;
  /** There is no default: the rule answers for an absent value too. */
  readonly required?: true;
}

/** An option that must be given. */
export function required<T>(rule: Rule<Exclude<T, undefined>>): Field<T> {
  return { rule, default: undefined as T, required: true };
}

/** Collects every problem of a configuration before anything is built from it. */
export class Issues {
  readonly list: string[] = [];

  add(path: string, problem: string, value: unknown): void {
    this.list.push(`${path} ${problem}, got ${show(value)}`);
  }

  /** @throws ResilienceConfigError where there was any problem; it tells each once */
  throwIfAny(): void {
    if (this.list.length > 0) throw new ResilienceConfigError([...new Set(this.list)]);
  }
}

/** Reads `input` by `schema`. Absent and `undefined` options take their default. */
export function readOptions<T extends object>(
  schema: Schema<T>,
  input: unknown,
  path: string,
  issues: Issues,
): T {
  const given = asRecord(input, path, issues);
  for (const key of Object.keys(given)) {
    if (!Object.hasOwn(schema, key) && given[key] !== undefined) {
      issues.list.push(`${path}.${key} is not a known option${suggest(key, Object.keys(schema))}`);
    }
  }
  const read: Partial<T> = {};
  for (const key of Object.keys(schema) as (keyof T & string)[]) {
    const value = Object.hasOwn(given, key) ? given[key] : undefined;
    const field = schema[key];
    const absent = value === undefined && field.required !== true;
    read[key] = absent ? field.default : readField(field, value, path, key, issues);
  }
  return Object.freeze(read as T);
}

/** The same, throwing on the spot: for a policy built by hand. */
export function requireOptions<T extends object>(
  schema: Schema<T>,
  input: unknown,
  path: string,
): T {
  const issues = new Issues();
  const options = readOptions(schema, input, path, issues);
  issues.throwIfAny();
  return options;
}

function readField<T>(
  field: Field<T>,
  value: unknown,
  path: string,
  key: string,
  issues: Issues,
): T {
  const outcome = field.rule(value);
  if ('value' in outcome) return outcome.value;
  if ('problem' in outcome) issues.add(`${path}.${key}`, outcome.problem, value);
  else issues.list.push(...outcome.problems.map((each) => `${path}.${key}${each}`));
  return field.default;
}

function asRecord(input: unknown, path: string, issues: Issues): Record<string, unknown> {
  if (input === undefined) return {};
  if (isRecord(input)) return input;
  issues.add(path, 'must be an object of options', input);
  return {};
}

/** Whether a value may hold options: no list, and no policy, whose fields are not for others to set. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !policyBrand.isOn(value)
  );
}

/** `; did you mean "x"?` for the nearest known name, or nothing where none is near. */
export function suggest(name: string, known: readonly string[]): string {
  let best: string | undefined;
  let least = Math.max(2, Math.floor(name.length / 2)) + 1;
  for (const candidate of known) {
    const apart = distance(name.toLowerCase(), candidate.toLowerCase());
    if (apart < least) [best, least] = [candidate, apart];
  }
  return best === undefined ? '' : `; did you mean "${best}"?`;
}

/** A value as a message can show it: short, and never throwing. */
export function show(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 80));
  try {
    if (typeof value === 'function') return `function ${value.name || '(anonymous)'}`;
    if (typeof value !== 'object' || value === null) return String(value);
    if (policyBrand.isOn(value)) return `a policy (${value.kind} ${show(value.name)})`;
    return ((JSON.stringify(value) as string | undefined) ?? 'an object').slice(0, 80);
  } catch {
    return 'an object';
  }
}

const pass = <T>(value: T): { value: T } => ({ value });

/** A whole number from `min` to `max`. */
export function integer(min: number, max = Number.MAX_SAFE_INTEGER): Rule<number> {
  return (value) =>
    Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max
      ? pass(value as number)
      : {
          problem: `must be a whole number of at least ${String(min)}${max < Number.MAX_SAFE_INTEGER ? ` and at most ${String(max)}` : ''}`,
        };
}

/** A finite number within [min, max], or above `above` where that is given. */
export function number(bounds: { min?: number; above?: number; max?: number }): Rule<number> {
  const { min = -Infinity, above = -Infinity, max = Infinity } = bounds;
  const least = above > -Infinity ? `above ${String(above)}` : `of at least ${String(min)}`;
  const problem = `must be a number ${least}${max < Infinity ? ` and at most ${String(max)}` : ''}`;
  return (value) =>
    Number.isFinite(value) &&
    (value as number) >= min &&
    (value as number) > above &&
    (value as number) <= max
      ? pass(value as number)
      : { problem };
}

/** A duration from `min` (default 0) to 2^31 - 1 ms; read as milliseconds. */
export function duration(min = 0): Rule<number> {
  const least = min > 0 ? `at least ${String(min)} ms` : 'not negative';
  return (value) => {
    const parsed = parseDuration(value) ?? NaN;
    return parsed >= min && parsed <= MAX_DURATION
      ? pass(parsed)
      : {
          problem: `must be a duration (milliseconds or a string such as "30s"), ${least} and at most ${String(MAX_DURATION)} ms`,
        };
  };
}

export function boolean(): Rule<boolean> {
  return (value) =>
    typeof value === 'boolean' ? pass(value) : { problem: 'must be true or false' };
}

export function text(): Rule<string> {
  return (value) =>
    typeof value === 'string' && value.trim() !== ''
      ? pass(value)
      : { problem: 'must be a non-empty string' };
}

export function callback<F extends (...args: never[]) => unknown>(): Rule<F> {
  return (value) =>
    typeof value === 'function' ? pass(value as F) : { problem: 'must be a function' };
}

/** A function that answers at once: the promise of an async one would be no answer. */
export function returning<F extends (...args: never[]) => unknown>(what: string): Rule<F> {
  return (value) =>
    typeof value === 'function' && !isAsyncFunction(value)
      ? pass(value as F)
      : { problem: `must be a function that returns ${what} (not async)` };
}

export function predicate<F extends (...args: never[]) => boolean>(): Rule<F> {
  return returning('true or false');
}

export function oneOf<const T extends string>(
  ...allowed: readonly T[]
): (value: unknown) => { value: T } | { problem: string } {
  return (value) =>
    (allowed as readonly unknown[]).includes(value)
      ? pass(value as T)
      : {
          problem: `must be one of ${allowed.map((each) => `"${each}"`).join(', ')}${typeof value === 'string' ? suggest(value, allowed).replace(';', ' –') : ''}`,
        };
}

/** The first rule that accepts the value. */
export function either<A, B>(first: Rule<A>, second: Rule<B>): Rule<A | B> {
  return (value) => {
    const outcome = first(value);
    if ('value' in outcome) return outcome;
    const other = second(value);
    return 'value' in other
      ? other
      : { problem: `${sentenceOf(outcome)}, or ${sentenceOf(other).replace(/^must /, '')}` };
  };
}

function sentenceOf(problem: Problem): string {
  return 'problem' in problem ? problem.problem : problem.problems.join('; ').trim();
}

/** An object of options of its own; `check` adds what no single field can tell. */
export function nested<T extends object>(
  schema: Schema<T>,
  check?: (options: T, issues: Issues) => void,
): Rule<T> {
  return (value) => {
    const issues = new Issues();
    const options = readOptions(schema, value, '', issues);
    if (issues.list.length === 0) check?.(options, issues);
    return issues.list.length === 0 ? { value: options } : { problems: issues.list };
  };
}

export type { Duration };
