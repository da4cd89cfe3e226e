import { CircuitBreaker } from '../core/circuit-breaker/circuit-breaker.js';
import { KeyedCircuitBreakers } from '../core/circuit-breaker/keyed.js';
import { ResilienceConfigError } from '../core/errors.js';
import type { Policy } from '../core/policy.js';
import { RetryBudget, type RetryBudgetOptions } from '../core/retry/retry-budget.js';
import { SyncRetryPolicy } from '../core/retry/retry-sync.js';
import { RetryPolicy } from '../core/retry/retry.js';
import type { Runtime } from '../core/runtime.js';
import type { Issues } from '../core/validation.js';
import { collect } from './collect.js';
import { ConfiguredNames } from './configured-names.js';
import { standsIn, unknownName } from './messages.js';
import { type DefaultOptions, NAMED_GROUPS, type NamedGroup } from './named-options.js';
import { PARTS, type PartName } from './parts.js';
import { PolicyMaker } from './policy-maker.js';
import type { PolicyOptions } from './policy-spec.js';
import type { PolicyStore } from './policy-store.js';
import { Unprotected } from './unprotected.js';

export type PolicyGroup = Exclude<NamedGroup, 'budgets'>;

/** What an application has configured by name, made on first use and once. */
export class NamedPolicies {
  readonly names = new ConfiguredNames();
  readonly maker: PolicyMaker;
  readonly #budgets = new Map<string, RetryBudget>();

  /** @param lenient unknown names get default options, or none of what has no defaults, and one warning */
  constructor(
    private readonly store: PolicyStore,
    private readonly runtime: Runtime,
    defaults: DefaultOptions,
    private readonly lenient: boolean,
  ) {
    this.maker = new PolicyMaker(this, store, defaults, runtime);
  }

  /** Makes everything that is configured, so that every problem shows at start-up. */
  makeAll(issues: Issues): void {
    for (const group of NAMED_GROUPS) {
      for (const name of this.names.in(group)) {
        collect(issues, () =>
          group === 'budgets' ? this.budget(name, name) : this.policy(group, name, name),
        );
      }
    }
  }

  policy(group: PolicyGroup, name: string, place: string): Policy {
    const key = `${group}/${name}`;
    return this.store.get(key) ?? this.store.keep(key, this.#make(group, name, place));
  }

  replace(group: PolicyGroup, name: string, policy: Policy): void {
    this.store.take(PART_OF_GROUP.get(group) ?? group, name);
    this.store.keep(`${group}/${name}`, policy);
  }

  breaker(name: string, place: string): CircuitBreaker {
    return expectKind(CircuitBreaker, this.policy('circuitBreakers', name, place));
  }

  keyedBreakers(name: string, place: string): KeyedCircuitBreakers {
    const key = `keyed/${name}`;
    const made = this.store.get(key);
    if (made !== undefined) return expectKind(KeyedCircuitBreakers, made);
    // Under the options of the breaker of that name, which may have been changed since.
    const { options } = this.breaker(name, place);
    return this.store.keep(key, new KeyedCircuitBreakers(name, options, this.maker.setting));
  }

  /** A retry without promises, under the options of the retry of that name. */
  synchronous(retry: string, place: string): Policy {
    const { name, options } = expectKind(RetryPolicy, this.policy('retries', retry, place));
    const key = `sync/${name}`;
    const made = this.store.get(key);
    if (made !== undefined) return made;
    const setting = { name: `${name}#sync`, ...this.maker.setting };
    return this.store.keep(key, new SyncRetryPolicy(options as object, setting));
  }

  budget(name: string, place: string): RetryBudget {
    const made = this.#budgets.get(name);
    if (made !== undefined) return made;
    const options = this.#configured('budgets', name, place) as RetryBudgetOptions | undefined;
    const budget = new RetryBudget(options, { runtime: this.runtime, name });
    this.#budgets.set(name, budget);
    return budget;
  }

  /** The policy of that name, and what else has been made under its options. */
  madeOf(group: PolicyGroup, name: string, place: string): Policy[] {
    const policy = this.policy(group, name, place);
    const twins = [`keyed/${name}`, `sync/${name}`]
      .map((key) => this.store.get(key))
      .filter((twin) => twin !== undefined && twin.kind === policy.kind);
    return [policy, ...twins] as Policy[];
  }

  #make(group: PolicyGroup, name: string, place: string): Policy {
    const part = PART_OF_GROUP.get(group);
    const hasDefaults = part !== undefined && PARTS[part].leastOptions === undefined;
    const given = this.#configured(group, name, place, hasDefaults);
    this.store.take(part ?? group, name);
    if (!hasDefaults && !this.names.has(group, name)) return new Unprotected(name);
    return part === undefined
      ? this.maker.composite(given as PolicyOptions, name)
      : this.maker.make(part, given, name);
  }

  #configured(group: NamedGroup, name: string, place: string, hasDefaults = true): unknown {
    if (this.names.has(group, name)) return this.names.optionsOf(group, name);
    if (!this.lenient) {
      throw new ResilienceConfigError([unknownName(group, name, place, this.names.in(group))]);
    }
    const instead = hasDefaults ? 'default options are used' : 'calls pass unprotected';
    this.runtime.logger.warn(standsIn(instead, group, name, place));
    return undefined;
  }
}

const PART_OF_GROUP = new Map<PolicyGroup, PartName>(
  (Object.keys(PARTS) as PartName[])
    .filter((part) => part !== 'retrySync')
    .flatMap((part) => {
      const { group } = PARTS[part];
      return group === undefined ? [] : [[group, part] as const];
    }),
);

/** A group holds policies of its own kind only. */
function expectKind<P extends Policy>(
  kind: abstract new (...args: never[]) => P,
  policy: Policy,
): P {
  if (policy instanceof kind) return policy;
  throw new TypeError(`Expected ${kind.name}, got ${policy.kind} "${policy.name}"`);
}
