import type { Policy } from '../core/policy.js';
import type { NamedGroup } from './named-options.js';
import type { PartName } from './parts.js';

/** Every policy of one application: named ones by group and name, others by what they are made once for. */
export class PolicyStore {
  readonly #policies = new Map<unknown, Policy>();
  readonly #taken = new Set<string>();

  get(key: unknown): Policy | undefined {
    return this.#policies.get(key);
  }

  keep<P extends Policy>(key: unknown, policy: P): P {
    this.#policies.set(key, policy);
    return policy;
  }

  all(): Policy[] {
    return [...new Set(this.#policies.values())];
  }

  take(part: PartName | NamedGroup, name: string): void {
    this.#taken.add(`${part}:${name}`);
  }

  /** Two classes may have the same name; their breakers must not become one. */
  unused(part: PartName, name: string): string {
    let unused = name;
    for (let count = 2; this.#taken.has(`${part}:${unused}`); count++) {
      unused = `${name}~${String(count)}`;
    }
    this.take(part, unused);
    return unused;
  }
}
