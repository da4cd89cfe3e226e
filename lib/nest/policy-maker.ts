import { type BreakerKeyFunction, KeyedCircuitBreakers } from '../core/circuit-breaker/keyed.js';
import type { CircuitBreakerOptions } from '../core/circuit-breaker/options.js';
import { ResilienceConfigError } from '../core/errors.js';
import { Pipeline } from '../core/pipeline.js';
import { Policy, type PolicySetting } from '../core/policy.js';
import { RetryConfig, isRetryConfig } from '../core/retry/retry-config.js';
import type { Runtime } from '../core/runtime.js';
import { Issues, type Schema, requireOptions, returning, show } from '../core/validation.js';
import { collect } from './collect.js';
import { keyOfOneBreaker, otherKind } from './messages.js';
import type { DefaultOptions } from './named-options.js';
import type { NamedPolicies } from './named-policies.js';
import { PARTS, type PartName, fits, withDefaults } from './parts.js';
import { specsOf } from './policy-options.js';
import type { KeyOptions, PolicyOptions, PolicySpec } from './policy-spec.js';
import type { PolicyStore } from './policy-store.js';

const keySchema: Schema<KeyOptions> = {
  key: { rule: returning<BreakerKeyFunction>('a key'), default: undefined },
};

/** Makes the policies of one application from what decorators, the interceptor and names ask for. */
export class PolicyMaker {
  /** Where, and as what, everything is made here. */
  readonly setting: Pick<PolicySetting, 'runtime' | 'timings'>;

  constructor(
    private readonly named: NamedPolicies,
    private readonly store: PolicyStore,
    private readonly defaults: DefaultOptions,
    runtime: Runtime,
  ) {
    this.setting = { runtime, timings: defaults.timings };
  }

  /**
   * The policies that one place asks for, outermost first.
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

  composite(options: PolicyOptions, name: string): Policy {
    const issues = new Issues();
    const specs = specsOf(options, `policy(${name})`, issues);
    issues.throwIfAny();
    return new Pipeline(this.resolve(specs, name), { name });
  }

  make(part: PartName, given: unknown, name: string): Policy {
    const kind = PARTS[part];
    const defaults = kind.defaults && this.defaults[kind.defaults];
    const options = this.withBudget(withDefaults(given, defaults), name);
    return kind.make(options, { name, ...this.setting });
  }

  /** Puts the budget of this application in the place of its name. */
  withBudget(options: unknown, place: string): unknown {
    const { budget } = (options ?? {}) as { budget?: unknown };
    if (typeof budget !== 'string') return options;
    const known = { ...(options as object), budget: this.named.budget(budget, place) };
    return isRetryConfig(options) ? new RetryConfig(known) : known; // which is complete as before
  }

  #resolveOne(spec: PolicySpec, place: string, at: number): Policy {
    if ('options' in spec && spec.options !== undefined) {
      const { key } = requireOptions(keySchema, spec.options, `@CircuitProtected(${place})`);
      if (key !== undefined) return this.#keyed(spec.given, key, place);
    }
    if (spec.given instanceof Policy) {
      requireFitting(spec.part, spec.given, place);
      return this.store.keep(spec.given, spec.given);
    }
    if (spec.part === 'policy') {
      return typeof spec.given === 'string'
        ? this.named.policy('policies', spec.given, place)
        : this.composite(spec.given, place);
    }
    const { group } = PARTS[spec.part];
    if (typeof spec.given === 'string' && group !== undefined) {
      return spec.part === 'retrySync'
        ? this.named.synchronous(spec.given, place)
        : this.named.policy(group, spec.given, place);
    }
    const numbered = spec.part === 'circuitBreaker' ? place : `${place}#${String(at)}`;
    const policy = this.make(spec.part, spec.given, this.store.unused(spec.part, numbered));
    return this.store.keep(policy, policy);
  }

  #keyed(given: unknown, key: BreakerKeyFunction, place: string): Policy {
    if (given instanceof Policy) throw new ResilienceConfigError([keyOfOneBreaker(place)]);
    const family =
      typeof given === 'string'
        ? this.named.keyedBreakers(given, place)
        : this.#makeKeyed(given, this.store.unused('circuitBreaker', place));
    this.store.keep(family, family);
    return family.by(key);
  }

  #makeKeyed(given: unknown, name: string): KeyedCircuitBreakers {
    const options = withDefaults(given, this.defaults.circuitBreaker) as CircuitBreakerOptions;
    return new KeyedCircuitBreakers(name, options, this.setting);
  }
}

function requireFitting(part: PolicySpec['part'], policy: Policy, place: string): void {
  if (part === 'policy' || fits(part, policy)) return;
  throw new ResilienceConfigError([otherKind(part, place, show(policy))]);
}
