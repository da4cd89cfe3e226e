import {
  Policy,
  type PolicyDescription,
  type PolicySetting,
  type PolicySnapshot,
  type Stage,
} from './policy.js';
import { Issues, show } from './validation.js';

/** The figures of a pipeline are those of its parts. */
export interface PipelineSnapshot extends PolicySnapshot {
  /** Its parts, outermost first. */
  readonly policies: readonly PolicySnapshot[];
}

/** Several policies as one, outermost first. Made by `pipeline()`. */
export class Pipeline extends Policy {
  readonly kind = 'pipeline';
  readonly name: string;
  readonly options = Object.freeze({});

  constructor(
    readonly policies: readonly Policy[],
    setting: PolicySetting = {},
  ) {
    super(setting);
    this.name = setting.name ?? 'pipeline';
    requirePolicies(policies, this.name);
  }

  /** A pipeline inside a pipeline is its parts: they are linked as if they stood there. */
  stages(): readonly Stage[] {
    return this.policies.flatMap((policy) => policy.timedStages());
  }

  override parts(): readonly Policy[] {
    return this.policies.flatMap((policy) => policy.parts());
  }

  override describe(): PolicyDescription[] {
    return this.policies.flatMap((policy) => policy.describe());
  }

  snapshot(): PipelineSnapshot {
    const { id, kind, name, options } = this;
    return { id, kind, name, options, policies: this.policies.map((policy) => policy.snapshot()) };
  }
}

function requirePolicies(policies: readonly unknown[], name: string): void {
  const issues = new Issues();
  if (policies.length === 0) issues.list.push(`pipeline(${name}) must have at least one policy`);
  policies.forEach((policy, at) => {
    if (!(policy instanceof Policy)) {
      issues.list.push(`pipeline(${name})[${String(at)}] must be a policy, got ${show(policy)}`);
    }
  });
  issues.throwIfAny();
}

/**
 * Composes policies, the outermost first; the result is a policy itself.
 *
 * @example
 * const catalog = pipeline(retry({ maxAttempts: 3 }), new CircuitBreaker('catalog'));
 * const items = await catalog.execute(({ signal }) => fetch(url, { signal }));
 * @throws ResilienceConfigError for no policy, or for something that is none
 */
export function pipeline(...policies: Policy[]): Pipeline {
  return new Pipeline(policies);
}
