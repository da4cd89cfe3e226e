import { AdaptiveLimitPolicy } from '../core/adaptive-limit/adaptive-limit.js';
import { BulkheadPolicy } from '../core/bulkhead/bulkhead.js';
import { CircuitBreaker } from '../core/circuit-breaker/circuit-breaker.js';
import { ClientThrottlePolicy } from '../core/client-throttle/client-throttle.js';
import { FallbackPolicy } from '../core/fallback.js';
import { HedgePolicy } from '../core/hedge/hedge.js';
import type { HedgeOptions } from '../core/hedge/options.js';
import type { Policy, PolicySetting } from '../core/policy.js';
import type { RateLimitOptions } from '../core/rate-limiter/options.js';
import { RateLimitPolicy } from '../core/rate-limiter/rate-limiter.js';
import { RetryPolicy } from '../core/retry/retry.js';
import { isRetryConfig } from '../core/retry/retry-config.js';
import { SyncRetryPolicy } from '../core/retry/retry-sync.js';
import { type TimeLimitOptions, TimeLimitPolicy } from '../core/time-limit.js';
import { isRecord } from '../core/validation.js';
import type { DefaultOptions, NamedGroup } from './named-options.js';
import type { FallbackGiven, PolicySpec } from './policy-spec.js';

type Setting = PolicySetting & { readonly name: string };

/** How one kind of part is made from what was given for it, and where its names are configured. */
export interface PartKind {
  /** The group of named options; absent where a string is something else than a name. */
  readonly group?: Exclude<NamedGroup, 'budgets' | 'policies'>;
  readonly defaults?: Exclude<keyof DefaultOptions, 'timings'>;
  /** What options need that have no default, so that defaults can be checked alone. */
  readonly leastOptions?: object;
  readonly make: (given: unknown, setting: Setting) => Policy;
}

export type PartName = Exclude<PolicySpec['part'], 'policy'>;

const timeLimit: PartKind = {
  make: (given, setting) => new TimeLimitPolicy(given as TimeLimitOptions, setting),
};

/** The one table that tells the parts of a policy apart. Each policy checks what it is given. */
export const PARTS: Readonly<Record<PartName, PartKind>> = {
  fallback: { make: (given, setting) => makeFallback(given as FallbackGiven, setting) },
  timeLimit,
  attemptTimeLimit: timeLimit,
  retry: {
    group: 'retries',
    defaults: 'retry',
    make: (given, setting) => new RetryPolicy(given as object | undefined, setting),
  },
  retrySync: {
    group: 'retries',
    defaults: 'retry',
    make: (given, setting) => new SyncRetryPolicy(given as object | undefined, setting),
  },
  hedge: {
    group: 'hedges',
    defaults: 'hedge',
    leastOptions: { delay: 1 },
    make: (given, setting) => new HedgePolicy(given as HedgeOptions, setting),
  },
  clientThrottle: {
    group: 'throttles',
    defaults: 'clientThrottle',
    make: (given, setting) => new ClientThrottlePolicy(given as object | undefined, setting),
  },
  circuitBreaker: {
    group: 'circuitBreakers',
    defaults: 'circuitBreaker',
    make: (given, setting) =>
      new CircuitBreaker(setting.name, given as object | undefined, setting),
  },
  rateLimit: {
    group: 'rateLimits',
    defaults: 'rateLimit',
    leastOptions: { limit: 1, interval: 1 },
    make: (given, setting) => new RateLimitPolicy(given as RateLimitOptions, setting),
  },
  bulkhead: {
    group: 'bulkheads',
    defaults: 'bulkhead',
    make: (given, setting) => new BulkheadPolicy(given as object | undefined, setting),
  },
  adaptiveLimit: {
    group: 'adaptiveLimits',
    defaults: 'adaptiveLimit',
    make: (given, setting) => new AdaptiveLimitPolicy(given as object | undefined, setting),
  },
};

function makeFallback(given: FallbackGiven, setting: Setting): Policy {
  if (typeof given !== 'object') return new FallbackPolicy(given, undefined, setting);
  const { handler, ...options } = given;
  return new FallbackPolicy(handler, options, setting);
}

/** `given` over `defaults`; a complete configuration has none of its own left open. */
export function withDefaults(given: unknown, defaults: object | undefined): unknown {
  if (defaults === undefined || isRetryConfig(given) || !isOptions(given)) return given;
  const written = Object.entries(given ?? {}).filter(([, value]) => value !== undefined);
  return { ...defaults, ...Object.fromEntries(written) };
}

/** Anything else is handed on as it is, for the policy to refuse. */
function isOptions(given: unknown): given is object | undefined {
  return given === undefined || isRecord(given);
}

/** Whether a policy made by hand may stand as this part. */
export function fits(part: PartName, policy: Policy): boolean {
  if (part === 'retrySync') return policy instanceof SyncRetryPolicy;
  return policy.kind === (part === 'attemptTimeLimit' ? 'timeLimit' : part);
}
