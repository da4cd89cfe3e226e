import { isDeepStrictEqual } from 'node:util';
import { CircuitBreaker } from '../core/circuit-breaker/circuit-breaker.js';
import { type CompiledPipeline, compile } from '../core/compile.js';
import { ResilienceConfigError } from '../core/errors.js';
import { Pipeline } from '../core/pipeline.js';
import { Policy } from '../core/policy.js';
import { RetryBudget, type RetryBudgetOptions } from '../core/retry/retry-budget.js';
import { SyncRetryPolicy } from '../core/retry/retry-sync.js';
import { RetryPolicy } from '../core/retry/retry.js';
import { Lifetime, type Runtime, type RuntimeOptions, runtimeWith } from '../core/runtime.js';
import { Issues } from '../core/validation.js';
import { defaultsUsed, duplicateName, unknownName } from './messages.js';
import type { DefaultOptions, NamedGroup, NamedOptions } from './named-options.js';
import { PARTS, type PartName, withDefaults } from './parts.js';
import { specsOf } from './policy-options.js';
import type { PolicyOptions, PolicySpec } from './policy-spec.js';
import type { ProtectedMethod } from './protected-methods.js';

export interface RegistrySettings {
  readonly runtime?: RuntimeOptions | undefined;
  readonly defaults?: DefaultOptions | undefined;
  /** Unknown names get default options and one warning: for instances made outside an application. */
  readonly lenient?: boolean;
}

const GROUPS = [
  'circuitBreakers',
  'retries',
  'budgets',
  'policies',
] as const satisfies NamedGroup[];
const PART_OF_GROUP: Partial<Record<NamedGroup, PartName>> = {
  circuitBreakers: 'circuitBreaker',
  retries: 'retry',
};

/** The policies of one application: the named ones, and those made where they are used. */
export class ResilienceRegistry {
  /** Compiled once per decorated method, at its `ProtectedMethod.id`. */
  readonly pipelines: (CompiledPipeline | undefined)[] = [];
  readonly runtime: Runtime;
  readonly #lifetime = new Lifetime();
  readonly #defaults: DefaultOptions;
  readonly #lenient: boolean;
  /** What was configured, by group and name; policies are made of it on first use. */
  readonly #configured = new Map<NamedGroup, Map<string, unknown>>(
    GROUPS.map((group) => [group, new Map()]),
  );
  readonly #budgets = new Map<string, RetryBudget>();
  /** Every policy: named ones by group and name, others by what they are made once for. */
  readonly #policies = new Map<unknown, Policy>();
  readonly #taken = new Set<string>();

  constructor({ runtime, defaults = {}, lenient = false }: RegistrySettings = {}) {
    this.runtime = runtimeWith({ ...runtime, lifetime: this.#lifetime });
    this.#defaults = defaults;
    this.#lenient = lenient;
  }

  /** Adds named options; a name that is there already must have the same. */
  configure(named: NamedOptions, issues: Issues): void {
    for (const group of GROUPS) {
      for (const [name, options] of Object.entries(named[group] ?? {})) {
        const known = this.#group(group);
        if (!known.has(name)) known.set(name, options);
        else if (!isDeepStrictEqual(written(known.get(name)), written(options))) {
          issues.list.push(duplicateName(group, name));
        }
      }
    }
  }

  /** Makes everything that is configured, so that every problem shows at start-up. */
  makeConfigured(issues: Issues): void {
    for (const name of this.names('budgets')) collect(issues, () => this.#budget(name, name));
    for (const group of ['circuitBreakers', 'retries', 'policies'] as const) {
      for (const name of this.names(group)) collect(issues, () => this.named(group, name, name));
    }
  }

  /**
   * Adds a feature module's options. Those that were there at start-up are known by now; others come
   * with a module that is loaded later.
   * @throws ResilienceConfigError
   */
  adopt(feature: NamedOptions): void {
    const issues = new Issues();
    this.configure(feature, issues);
    this.makeConfigured(issues);
    issues.throwIfAny();
  }

  names(group: NamedGroup): string[] {
    return [...this.#group(group).keys()];
  }

  has(group: NamedGroup, name: string): boolean {
    return this.#group(group).has(name);
  }

  breaker(name: string, place: string): CircuitBreaker {
    return expectKind(CircuitBreaker, this.named('circuitBreakers', name, place));
  }

  /**
   * The policy of that name. `place` is where it was asked for.
   * @throws ResilienceConfigError for a name that nobody configured
   */
  named(group: Exclude<NamedGroup, 'budgets'>, name: string, place: string): Policy {
    const part = PART_OF_GROUP[group];
    const id = `${group}/${name}`;
    const made = this.#policies.get(id);
    if (made !== undefined) return made;
    const options = this.#configuredOptions(group, name, place);
    this.#taken.add(`${part ?? group}:${name}`);
    const policy =
      part === undefined
        ? this.#composite(options as PolicyOptions, name)
        : this.#make(part, options as object, name);
    this.#policies.set(id, policy);
    return policy;
  }

  /** The pipeline of a decorated method, compiled on first use. */
  pipelineOf(method: ProtectedMethod): CompiledPipeline {
    return (this.pipelines[method.id] ??= compile(
      this.resolve(method.specs, method.place).flatMap((policy) => policy.stages()),
    ));
  }

  /**
   * The policies that `specs` stand for, outermost first.
   * @throws ResilienceConfigError with the problems of all of them
   */
  resolve(specs: readonly PolicySpec[], place: string): Policy[] {
    const issues = new Issues();
    const policies: Policy[] = [];
    specs.forEach((spec, at) => {
      collect(issues, () => policies.push(this.#resolveOne(spec, place, at)));
    });
    issues.throwIfAny();
    return policies;
  }

  /** Every policy made so far, named and anonymous. */
  policies(): Policy[] {
    return [...new Set(this.#policies.values())];
  }

  /** Ends every wait and timer that began under this registry. */
  close(): void {
    this.#lifetime.end();
  }

  #resolveOne(spec: PolicySpec, place: string, at: number): Policy {
    if (spec.given instanceof Policy) return this.#keep(spec.given, spec.given);
    if (spec.part === 'policy') {
      return typeof spec.given === 'string'
        ? this.named('policies', spec.given, place)
        : this.#composite(spec.given, place);
    }
    const { group } = PARTS[spec.part];
    if (typeof spec.given === 'string' && group !== undefined && group !== 'budgets') {
      const policy = this.named(group, spec.given, place);
      return spec.part === 'retrySync'
        ? this.#synchronous(expectKind(RetryPolicy, policy))
        : policy;
    }
    const name = this.#unused(
      spec.part,
      spec.part === 'circuitBreaker' ? place : `${place}#${String(at)}`,
    );
    const policy = this.#make(spec.part, spec.given as object | undefined, name);
    return this.#keep(policy, policy);
  }

  #keep<P extends Policy>(key: unknown, policy: P): P {
    this.#policies.set(key, policy);
    return policy;
  }

  /** Two classes may have the same name; their breakers must not become one. */
  #unused(part: PartName, name: string): string {
    let unused = name;
    for (let count = 2; this.#taken.has(`${part}:${unused}`); count++)
      unused = `${name}~${String(count)}`;
    this.#taken.add(`${part}:${unused}`);
    return unused;
  }

  #composite(options: PolicyOptions, name: string): Policy {
    const issues = new Issues();
    const specs = specsOf(options, `policy(${name})`, issues);
    issues.throwIfAny();
    return new Pipeline(this.resolve(specs, name), { name });
  }

  #make(part: PartName, given: object | undefined, name: string): Policy {
    const kind = PARTS[part];
    const defaults = kind.defaults && this.#defaults[kind.defaults];
    const options = this.#withBudget(withDefaults(given, defaults), name);
    return kind.make(options, { name, runtime: this.runtime });
  }

  /** Puts the budget of this application in the place of its name. */
  #withBudget(options: object | undefined, place: string): object | undefined {
    const { budget } = (options ?? {}) as { budget?: unknown };
    if (typeof budget !== 'string') return options;
    return { ...options, budget: this.#budget(budget, place) };
  }

  #budget(name: string, place: string): RetryBudget {
    const made = this.#budgets.get(name);
    if (made !== undefined) return made;
    const options = this.#configuredOptions('budgets', name, place) as
      RetryBudgetOptions | undefined;
    const budget = new RetryBudget(options, { runtime: this.runtime, name });
    this.#budgets.set(name, budget);
    return budget;
  }

  #synchronous({ name, options, runtime }: RetryPolicy): Policy {
    const key = `sync/${name}`;
    const made = this.#policies.get(key);
    return made ?? this.#keep(key, new SyncRetryPolicy(options as object, { name, runtime }));
  }

  #group(group: NamedGroup): Map<string, unknown> {
    return this.#configured.get(group) as Map<string, unknown>;
  }

  #configuredOptions(group: NamedGroup, name: string, place: string): unknown {
    const known = this.#group(group);
    if (known.has(name)) return known.get(name);
    if (!this.#lenient || group === 'policies') {
      throw new ResilienceConfigError([unknownName(group, name, place, this.names(group))]);
    }
    this.runtime.logger.warn(defaultsUsed(group, name, place));
    return undefined;
  }
}

/** A group holds policies of its own kind only. */
function expectKind<P extends Policy>(
  kind: abstract new (...args: never[]) => P,
  policy: Policy,
): P {
  if (policy instanceof kind) return policy;
  throw new TypeError(`Expected ${kind.name}, got ${policy.kind} "${policy.name}"`);
}

/** Options as they are compared: one that is `undefined` counts as absent. */
function written(options: unknown): unknown {
  if (Object.getPrototypeOf(options ?? {}) !== Object.prototype) return options;
  return Object.fromEntries(
    Object.entries(options ?? {}).filter(([, value]) => value !== undefined),
  );
}

/** Adds the problems of a step to the list and goes on. */
export function collect(issues: Issues, step: () => unknown): void {
  try {
    step();
  } catch (error) {
    if (!(error instanceof ResilienceConfigError)) throw error;
    issues.list.push(...error.issues);
  }
}
