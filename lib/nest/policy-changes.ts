import { Pipeline } from '../core/pipeline.js';
import { Policy } from '../core/policy.js';
import { Issues, show, suggest } from '../core/validation.js';
import { type Apply, LIVE_PARTS, isLive } from './live-changes.js';
import { titleOf } from './messages.js';
import { PARTS, type PartName } from './parts.js';
import { specsOf } from './policy-options.js';
import { FIXED_ORDER, type PolicyOptions, type PolicySpec } from './policy-spec.js';
import { collect } from './collect.js';
import type { ResilienceRegistry } from './registry.js';

/** A part of a named policy: as it was written, and as it was made. */
interface PartInPlace {
  readonly spec: PolicySpec;
  readonly policy: Policy | undefined;
}

/** Checks the changes of one named policy; what makes them is added to `prepared`. */
export class PolicyChange {
  readonly #parts: readonly PartInPlace[];
  readonly #path: string;

  constructor(
    private readonly registry: ResilienceRegistry,
    private readonly name: string,
    place: string,
  ) {
    const pipeline = registry.named('policies', name, place);
    const made = pipeline instanceof Pipeline ? pipeline.policies : [];
    const written = registry.names.optionsOf('policies', name) as PolicyOptions;
    const specs = specsOf(written, name, new Issues());
    this.#parts = specs.map((spec, at) => ({ spec, policy: made[at] }));
    this.#path = `policies.${name}`;
  }

  prepare(changes: object, prepared: Apply[], issues: Issues): void {
    for (const [part, change] of Object.entries(changes)) {
      if (change === undefined) continue;
      const policy = this.#partToChange(part, change, issues);
      if (policy === undefined) continue;
      this.#inItsPlace(part, issues, () => {
        prepared.push(policy.prepare(this.registry.withBudget(change, this.name)));
      });
    }
  }

  /** The part, if it is one whose options stand here; else adds why it is not. */
  #partToChange(part: string, change: unknown, issues: Issues) {
    const path = `${this.#path}.${part}`;
    const places = this.#parts.filter(({ spec }) => spec.part === part);
    const [place] = places;
    const problem =
      place === undefined
        ? this.#whyAbsent(part)
        : places.length > 1
          ? `stands in this policy ${String(places.length)} times, and a change cannot tell which is meant`
          : whyNot(place, change);
    if (problem !== undefined) issues.list.push(`${path} ${problem}`);
    else if (place?.policy !== undefined && isLive(place.policy)) return place.policy;
    return undefined;
  }

  #whyAbsent(part: string): string {
    if (!(FIXED_ORDER as readonly string[]).includes(part)) {
      return `is not a part of a policy${suggest(part, LIVE_PARTS)}`;
    }
    const parts = this.#parts.map(({ spec }) => spec.part).join(', ');
    return `cannot be added while the application works; the policy has ${parts}`;
  }

  #inItsPlace(part: string, issues: Issues, step: () => unknown): void {
    const own = new Issues();
    collect(own, step);
    issues.list.push(...own.list.map((problem) => `${this.#path}.${part}: ${problem}`));
  }
}

/** Why a part that is there cannot take this change; `undefined` where it can be tried. */
function whyNot({ spec, policy }: PartInPlace, change: unknown): string | undefined {
  const group = PARTS[spec.part as PartName].group;
  if (change === null || change === false) return 'cannot be removed while the application works';
  if (spec.given instanceof Policy) return 'was made by hand; call its configure()';
  if (group !== undefined && typeof spec.given === 'string') {
    return `is the ${titleOf(group)} "${spec.given}"; change it in ${group}.${spec.given}`;
  }
  if (policy === undefined || !isLive(policy)) return 'cannot change while the application works';
  if (group !== undefined && typeof change !== 'object') {
    return `must be an object of options, got ${show(change)}`;
  }
  return undefined;
}
