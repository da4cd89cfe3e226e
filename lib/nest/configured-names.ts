import { isDeepStrictEqual } from 'node:util';
import type { Issues } from '../core/validation.js';
import { duplicateName } from './messages.js';
import { NAMED_GROUPS, type NamedGroup, type NamedOptions } from './named-options.js';

/** What an application has configured by name, as it was written. */
export class ConfiguredNames {
  readonly #groups = new Map<NamedGroup, Map<string, unknown>>(
    NAMED_GROUPS.map((group) => [group, new Map()]),
  );

  /** Adds named options; a name that is there already must have the same. */
  add(named: NamedOptions, issues: Issues): void {
    for (const group of NAMED_GROUPS) {
      for (const [name, options] of Object.entries(named[group] ?? {})) {
        const known = this.#group(group);
        if (!known.has(name)) {
          known.set(name, options);
          continue;
        }
        const [first, second] = [written(known.get(name)), written(options)];
        if (isDeepStrictEqual(first, second)) continue;
        const onlyFunctions = isDeepStrictEqual(withoutFunctions(first), withoutFunctions(second));
        issues.list.push(duplicateName(group, name, onlyFunctions));
      }
    }
  }

  in(group: NamedGroup): string[] {
    return [...this.#group(group).keys()];
  }

  has(group: NamedGroup, name: string): boolean {
    return this.#group(group).has(name);
  }

  optionsOf(group: NamedGroup, name: string): unknown {
    return this.#group(group).get(name);
  }

  #group(group: NamedGroup): Map<string, unknown> {
    return this.#groups.get(group) as Map<string, unknown>;
  }
}

/** Options as they are compared: one that is `undefined` counts as absent. */
function written(options: unknown): unknown {
  if (Object.getPrototypeOf(options ?? {}) !== Object.prototype) return options;
  return Object.fromEntries(
    Object.entries(options ?? {}).filter(([, value]) => value !== undefined),
  );
}

/** What is left to compare when any function is as good as another. */
function withoutFunctions(options: unknown): unknown {
  if (typeof options === 'function') return 'a function';
  if (Array.isArray(options)) return options.map(withoutFunctions);
  if (Object.getPrototypeOf(options ?? 0) !== Object.prototype) return options;
  return Object.fromEntries(
    Object.entries(options as object).map(([key, value]) => [key, withoutFunctions(value)]),
  );
}
