import { type Issues, isRecord, show, suggest } from '../core/validation.js';
import {
  FIXED_ORDER,
  type PolicyOptions,
  type PolicyPart,
  type PolicySpec,
} from './policy-spec.js';

/** The parts of a policy, outermost first; adds to `issues` what is not one. */
export function specsOf(options: PolicyOptions, path: string, issues: Issues): PolicySpec[] {
  const specs = isList(options)
    ? options.flatMap((entry, at) => listed(entry, `${path}[${String(at)}]`, issues))
    : inFixedOrder(options, path, issues);
  if (specs.length === 0 && issues.list.length === 0) {
    issues.list.push(`${path} must have at least one of ${FIXED_ORDER.join(', ')}`);
  }
  return specs;
}

function isList(options: PolicyOptions): options is readonly object[] {
  return Array.isArray(options);
}

function listed(entry: unknown, path: string, issues: Issues): PolicySpec[] {
  const specs = inFixedOrder(entry, path, issues);
  if (specs.length > 1) {
    issues.add(
      path,
      'must have a single key, since the list gives the order',
      Object.keys(entry as object),
    );
  }
  return specs;
}

function inFixedOrder(options: unknown, path: string, issues: Issues): PolicySpec[] {
  if (!isRecord(options)) {
    issues.add(path, 'must be an object of policy parts', options);
    return [];
  }
  const given = options as Partial<Record<PolicyPart, unknown>>;
  for (const key of Object.keys(given)) {
    if (!(FIXED_ORDER as readonly string[]).includes(key)) {
      issues.list.push(
        `${path}.${show(key).slice(1, -1)} is not a part of a policy${suggest(key, FIXED_ORDER)}`,
      );
    }
  }
  return FIXED_ORDER.filter((part) => given[part] !== undefined).map(
    (part) => ({ part, given: given[part] }) as PolicySpec,
  );
}
