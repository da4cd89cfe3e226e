import { CircuitBreaker } from '../core/circuit-breaker/circuit-breaker.js';
import { type BreakerKeyFunction, KeyedCircuitBreakers } from '../core/circuit-breaker/keyed.js';
import type { CircuitBreakerOptions } from '../core/circuit-breaker/options.js';
import { type CompiledPipeline, compile } from '../core/compile.js';
import { ResilienceConfigError } from '../core/errors.js';
import { EventHub } from '../core/events.js';
import { Pipeline } from '../core/pipeline.js';
import { Policy, type PolicySetting, type Stage } from '../core/policy.js';
import { RetryBudget, type RetryBudgetOptions } from '../core/retry/retry-budget.js';
import { SyncRetryPolicy } from '../core/retry/retry-sync.js';
import { RetryPolicy } from '../core/retry/retry.js';
import { Lifetime, type Runtime, type RuntimeOptions, runtimeWith } from '../core/runtime.js';
import { Issues } from '../core/validation.js';
import { ConfiguredNames } from './configured-names.js';
import { defaultsUsed, keyOfOneBreaker, notAKey, unknownName } from './messages.js';
import {
  type DefaultOptions,
  NAMED_GROUPS,
  type NamedGroup,
  type NamedOptions,
} from './named-options.js';
import { type ResolvedHttpOptions, readHttp } from './module-schema.js';
import { PARTS, type PartName, withDefaults } from './parts.js';
import { specsOf } from './policy-options.js';
import type { PolicyOptions, PolicySpec } from './policy-spec.js';
import type { ProtectedMethod } from './protected-methods.js';

export interface RegistrySettings {
  readonly runtime?: RuntimeOptions | undefined;
  readonly defaults?: DefaultOptions | undefined;
  readonly http?: ResolvedHttpOptions | undefined;
  /** Events kept of each policy. Default 0. */
  readonly history?: number;
  /** Unknown names get default options and one warning: for instances made outside an application. */
  readonly lenient?: boolean;
}

type PolicyGroup = Exclude<NamedGroup, 'budgets'>;

/** The policies of one application: the named ones, and those made where they are used. */
export class ResilienceRegistry {
  /** Compiled once per decorated method, at its `ProtectedMethod.id`. */
  readonly pipelines: (CompiledPipeline | undefined)[] = [];
  readonly runtime: Runtime;
  readonly events: EventHub;
  readonly http: ResolvedHttpOptions;
  /** What was configured by name; policies are made of it on first use. */
  readonly names = new ConfiguredNames();
  readonly #lifetime = new Lifetime();
  readonly #defaults: DefaultOptions;
  readonly #lenient: boolean;
  readonly #budgets = new Map<string, RetryBudget>();
  /** Every policy: named ones by group and name, others by what they are made once for. */
  readonly #policies = new Map<unknown, Policy>();
  readonly #taken = new Set<string>();
  readonly #byMethod = new Map<number, readonly Policy[]>();

  constructor({
    runtime,
    defaults = {},
    http,
    history = 0,
    lenient = false,
  }: RegistrySettings = {}) {
    const { clock, logger } = runtimeWith(runtime);
    this.events = new EventHub(() => clock.wallTime(), logger, history);
    this.runtime = runtimeWith({ ...runtime, lifetime: this.#lifetime, events: this.events });
    this.#defaults = defaults;
    this.http = http ?? readHttp({});
    this.#lenient = lenient;
  }

  /** Makes everything that is configured, so that every problem shows at start-up. */
  makeConfigured(issues: Issues): void {
    for (const group of NAMED_GROUPS) {
      for (const name of this.names.in(group)) {
        collect(issues, () =>
          group === 'budgets' ? this.#budget(name, name) : this.named(group, name, name),
        );
      }
    }
  }

  /**
   * Takes in what a feature module adds; the root has seen it already, unless the module came with one
   * that is loaded later.
   * @throws ResilienceConfigError
   */
  adopt(feature: NamedOptions): void {
    const issues = new Issues();
    this.names.add(feature, issues);
    this.makeConfigured(issues);
    issues.throwIfAny();
  }

  breaker(name: string, place: string): CircuitBreaker {
    return expectKind(CircuitBreaker, this.named('circuitBreakers', name, place));
  }

  /** The keyed family under the options of the circuit breaker of that name. */
  keyedBreakers(name: string, place: string): KeyedCircuitBreakers {
    const key = `keyed/${name}`;
    const made = this.#policies.get(key);
    if (made !== undefined) return expectKind(KeyedCircuitBreakers, made);
    // Under the options of the breaker of that name, which may have been changed since.
    const { options } = this.breaker(name, place);
    return this.#keep(key, new KeyedCircuitBreakers(name, options, this.#setting()));
  }

  /**
   * The policy of that name. `place` is where it was asked for.
   * @throws ResilienceConfigError for a name that nobody configured
   */
  named(group: PolicyGroup, name: string, place: string): Policy {
    const key = `${group}/${name}`;
    const made = this.#policies.get(key);
    if (made !== undefined) return made;
    const given = this.#configured(group, name, place);
    const part = PART_OF_GROUP.get(group);
    this.#taken.add(`${part ?? group}:${name}`);
    return this.#keep(
      key,
      part === undefined
        ? this.#composite(given as PolicyOptions, name)
        : this.#make(part, given, name),
    );
  }

  /**
   * Everything made so far under the options of that name: the policy, and what has the options of a
   * breaker for each key or of a retry without promises.
   * @throws ResilienceConfigError for a name that nobody configured
   */
  madeOf(group: PolicyGroup, name: string, place: string): Policy[] {
    const policy = this.named(group, name, place);
    const twins = [`keyed/${name}`, `sync/${name}`]
      .map((key) => this.#policies.get(key))
      .filter((twin) => twin !== undefined && twin.kind === policy.kind);
    return [policy, ...twins] as Policy[];
  }

  /**
   * The pipeline of a decorated method, compiled on first use.
   * @throws ResilienceConfigError with the problems of all its policies
   */
  pipelineOf(method: ProtectedMethod): CompiledPipeline {
    return (this.pipelines[method.id] ??= compile(this.#stagesOf(method)));
  }

  /** The policies around a decorated method, outermost first; made once. */
  policiesOf({ id, specs, place }: ProtectedMethod): readonly Policy[] {
    let policies = this.#byMethod.get(id);
    if (policies === undefined) this.#byMethod.set(id, (policies = this.#resolve(specs, place)));
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

  #stagesOf(method: ProtectedMethod): Stage[] {
    return this.policiesOf(method).flatMap((policy) => [...policy.timedStages()]);
  }

  #resolve(specs: readonly PolicySpec[], place: string): Policy[] {
    const issues = new Issues();
    const policies: Policy[] = [];
    specs.forEach((spec, at) => {
      collect(issues, () => policies.push(this.#resolveOne(spec, place, at)));
    });
    issues.throwIfAny();
    return policies;
  }

  #resolveOne(spec: PolicySpec, place: string, at: number): Policy {
    if ('key' in spec && spec.key !== undefined) return this.#keyed(spec.given, spec.key, place);
    if (spec.given instanceof Policy) return this.#keep(spec.given, spec.given);
    if (spec.part === 'policy') {
      return typeof spec.given === 'string'
        ? this.named('policies', spec.given, place)
        : this.#composite(spec.given, place);
    }
    const { group } = PARTS[spec.part];
    if (typeof spec.given === 'string' && group !== undefined) {
      const policy = this.named(group, spec.given, place);
      return spec.part === 'retrySync'
        ? this.#synchronous(expectKind(RetryPolicy, policy))
        : policy;
    }
    const numbered = spec.part === 'circuitBreaker' ? place : `${place}#${String(at)}`;
    const policy = this.#make(spec.part, spec.given, this.#unused(spec.part, numbered));
    return this.#keep(policy, policy);
  }

  #keyed(given: unknown, key: BreakerKeyFunction, place: string): Policy {
    if (typeof key !== 'function') throw new ResilienceConfigError([notAKey(place, key)]);
    if (given instanceof Policy) throw new ResilienceConfigError([keyOfOneBreaker(place)]);
    const family =
      typeof given === 'string'
        ? this.keyedBreakers(given, place)
        : this.#makeKeyed(given, this.#unused('circuitBreaker', place));
    this.#keep(family, family);
    return family.by(key);
  }

  #makeKeyed(given: unknown, name: string): KeyedCircuitBreakers {
    const options = withDefaults(given, this.#defaults.circuitBreaker) as CircuitBreakerOptions;
    return new KeyedCircuitBreakers(name, options, this.#setting());
  }

  #keep<P extends Policy>(key: unknown, policy: P): P {
    this.#policies.set(key, policy);
    return policy;
  }

  /** Two classes may have the same name; their breakers must not become one. */
  #unused(part: PartName, name: string): string {
    let unused = name;
    for (let count = 2; this.#taken.has(`${part}:${unused}`); count++) {
      unused = `${name}~${String(count)}`;
    }
    this.#taken.add(`${part}:${unused}`);
    return unused;
  }

  #composite(options: PolicyOptions, name: string): Policy {
    const issues = new Issues();
    const specs = specsOf(options, `policy(${name})`, issues);
    issues.throwIfAny();
    return new Pipeline(this.#resolve(specs, name), { name });
  }

  #make(part: PartName, given: unknown, name: string): Policy {
    const kind = PARTS[part];
    const defaults = kind.defaults && this.#defaults[kind.defaults];
    const options = this.withBudget(withDefaults(given, defaults), name);
    return kind.make(options, { name, ...this.#setting() });
  }

  #setting(): Pick<PolicySetting, 'runtime' | 'timings'> {
    return { runtime: this.runtime, timings: this.#defaults.timings };
  }

  /** Puts the budget of this application in the place of its name. */
  withBudget(options: unknown, place: string): unknown {
    const { budget } = (options ?? {}) as { budget?: unknown };
    if (typeof budget !== 'string') return options;
    return { ...(options as object), budget: this.#budget(budget, place) };
  }

  #budget(name: string, place: string): RetryBudget {
    const made = this.#budgets.get(name);
    if (made !== undefined) return made;
    const options = this.#configured('budgets', name, place) as RetryBudgetOptions | undefined;
    const budget = new RetryBudget(options, { runtime: this.runtime, name });
    this.#budgets.set(name, budget);
    return budget;
  }

  #synchronous({ name, options, runtime }: RetryPolicy): Policy {
    const key = `sync/${name}`;
    const made = this.#policies.get(key);
    return made ?? this.#keep(key, new SyncRetryPolicy(options as object, { name, runtime }));
  }

  #configured(group: NamedGroup, name: string, place: string): unknown {
    if (this.names.has(group, name)) return this.names.optionsOf(group, name);
    if (!this.#lenient || group === 'policies') {
      throw new ResilienceConfigError([unknownName(group, name, place, this.names.in(group))]);
    }
    this.runtime.logger.warn(defaultsUsed(group, name, place));
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

/** Adds the problems of a step to the list and goes on. */
export function collect(issues: Issues, step: () => unknown): void {
  try {
    step();
  } catch (error) {
    if (!(error instanceof ResilienceConfigError)) throw error;
    issues.list.push(...error.issues);
  }
}
