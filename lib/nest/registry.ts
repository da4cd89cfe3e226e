import type { CircuitBreaker } from '../core/circuit-breaker/circuit-breaker.js';
import type { KeyedCircuitBreakers } from '../core/circuit-breaker/keyed.js';
import { type CompiledPipeline, compile } from '../core/compile.js';
import { EventHub } from '../core/events.js';
import type { Policy, Stage } from '../core/policy.js';
import { Lifetime, type Runtime, type RuntimeOptions, runtimeWith } from '../core/runtime.js';
import { Issues } from '../core/validation.js';
import type { ConfiguredNames } from './configured-names.js';
import { type ResolvedHttpOptions, readFeatureOptions, readHttp } from './module-schema.js';
import type { DefaultOptions } from './named-options.js';
import { NamedPolicies, type PolicyGroup } from './named-policies.js';
import { PolicyStore } from './policy-store.js';
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

/** The policies of one application: the named ones, and those made where they are used. */
export class ResilienceRegistry {
  /** Compiled once per decorated method, at its `ProtectedMethod.id`. */
  readonly pipelines: (CompiledPipeline | undefined)[] = [];
  readonly runtime: Runtime;
  readonly events: EventHub;
  readonly http: ResolvedHttpOptions;
  readonly defaults: DefaultOptions;
  /** Until the application has shut down, its last requests answered. */
  readonly lifetime = new Lifetime();
  readonly #waits = new Lifetime();
  readonly #store = new PolicyStore();
  readonly #named: NamedPolicies;
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
    this.runtime = runtimeWith({ ...runtime, lifetime: this.#waits, events: this.events });
    this.http = http ?? readHttp({});
    this.defaults = defaults;
    this.#named = new NamedPolicies(this.#store, this.runtime, defaults, lenient);
  }

  /** What was configured by name; policies are made of it on first use. */
  get names(): ConfiguredNames {
    return this.#named.names;
  }

  /** Makes everything that is configured, so that every problem shows at start-up. */
  makeConfigured(issues: Issues): void {
    this.#named.makeAll(issues);
  }

  /**
   * Takes in what a feature module adds; the root has seen it already, unless the module came with one
   * that is loaded later.
   * @throws ResilienceConfigError
   */
  adopt(feature: unknown): void {
    const issues = new Issues();
    this.names.add(readFeatureOptions(feature, issues), issues);
    this.makeConfigured(issues);
    issues.throwIfAny();
  }

  breaker(name: string, place: string): CircuitBreaker {
    return this.#named.breaker(name, place);
  }

  /** The keyed family under the options of the circuit breaker of that name. */
  keyedBreakers(name: string, place: string): KeyedCircuitBreakers {
    return this.#named.keyedBreakers(name, place);
  }

  /**
   * The policy of that name. `place` is where it was asked for.
   * @throws ResilienceConfigError for a name that nobody configured
   */
  named(group: PolicyGroup, name: string, place: string): Policy {
    return this.#named.policy(group, name, place);
  }

  /** Has a policy made by hand stand for that name; to be done before anything else is. */
  replace(group: PolicyGroup, name: string, policy: Policy): void {
    this.#named.replace(group, name, policy);
  }

  /**
   * Everything made so far under the options of that name: the policy, and what has the options of a
   * breaker for each key or of a retry without promises.
   * @throws ResilienceConfigError for a name that nobody configured
   */
  madeOf(group: PolicyGroup, name: string, place: string): Policy[] {
    return this.#named.madeOf(group, name, place);
  }

  /** Puts the budget of this application in the place of its name. */
  withBudget(options: unknown, place: string): unknown {
    return this.#named.maker.withBudget(options, place);
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
    const made = this.#byMethod.get(id);
    if (made !== undefined) return made;
    const policies = this.#named.maker.resolve(specs, place);
    this.#byMethod.set(id, policies);
    return policies;
  }

  /** Every policy made so far, named and anonymous. */
  policies(): Policy[] {
    return this.#store.all();
  }

  /** Ends what retries, queues and hedges wait for; calls go on, and those that begin later wait for nothing. */
  endWaits(): void {
    this.#waits.end();
  }

  /** Ends everything that began under this registry. */
  close(): void {
    this.endWaits();
    this.lifetime.end();
  }

  #stagesOf(method: ProtectedMethod): Stage[] {
    return this.policiesOf(method).flatMap((policy) => [...policy.timedStages()]);
  }
}
