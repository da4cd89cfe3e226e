import { CircuitBreaker } from '../core/circuit-breaker/circuit-breaker.js';
import { type Policy, type PolicySetting } from '../core/policy.js';
import { RetryPolicy } from '../core/retry/retry.js';
import { RetryConfig } from '../core/retry/retry-config.js';
import { SyncRetryPolicy } from '../core/retry/retry-sync.js';
import type { DefaultOptions, NamedGroup } from './named-options.js';
import type { PolicySpec } from './policy-spec.js';

/** How one kind of part is made from options, and where its names are configured. */
export interface PartKind {
  /** The group of named options; absent where a string is something else than a name. */
  readonly group?: NamedGroup;
  readonly defaults?: keyof DefaultOptions;
  make(options: object | undefined, setting: PolicySetting & { name: string }): Policy;
}

export type PartName = Exclude<PolicySpec['part'], 'policy'>;

/** The one table that tells the parts of a policy apart. */
export const PARTS: Readonly<Record<PartName, PartKind>> = {
  retry: {
    group: 'retries',
    defaults: 'retry',
    make: (options, setting) => new RetryPolicy(options, setting),
  },
  retrySync: {
    group: 'retries',
    defaults: 'retry',
    make: (options, setting) => new SyncRetryPolicy(options, setting),
  },
  circuitBreaker: {
    group: 'circuitBreakers',
    defaults: 'circuitBreaker',
    make: (options, { name, runtime }) => new CircuitBreaker(name, options, runtime && { runtime }),
  },
};

/** `given` over `defaults`; a complete configuration has none of its own left open. */
export function withDefaults(
  given: object | undefined,
  defaults: object | undefined,
): object | undefined {
  if (defaults === undefined || given instanceof RetryConfig || !isOptions(given)) return given;
  const written = Object.entries(given ?? {}).filter(([, value]) => value !== undefined);
  return { ...defaults, ...Object.fromEntries(written) };
}

/** Anything else is handed on as it is, for the policy to refuse. */
function isOptions(given: unknown): given is object | undefined {
  return (
    given === undefined || (typeof given === 'object' && given !== null && !Array.isArray(given))
  );
}
