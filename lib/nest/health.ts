import type { CircuitBreaker } from '../core/circuit-breaker/circuit-breaker.js';
import type { KeyedBreakerSummary, KeyedCircuitBreakers } from '../core/circuit-breaker/keyed.js';
import { CircuitState } from '../core/errors.js';
import { type Schema, oneOf, requireOptions } from '../core/validation.js';
import type { CircuitBreakerRegistry } from './circuit-breaker-registry.js';

/** What a health check tells of one breaker. */
export interface BreakerHealth {
  readonly state: CircuitState;
  /** Milliseconds until a probe is let through; only while open. */
  readonly remainingTimeout?: number;
  readonly consecutiveFailures: number;
  readonly failedCalls: number;
}

/** What a health check says under its key: `down` while a breaker is open and its recovery time has not run out. */
export interface ResilienceHealth {
  readonly status: 'up' | 'down';
  /** A dependency is being probed, open past its recovery time, or failing for some key. */
  readonly degraded?: true;
  readonly breakers: Readonly<Record<string, BreakerHealth>>;
  /** Keyed families, each as one bounded summary; a single key never turns the status down. */
  readonly keyed?: Readonly<Record<string, KeyedBreakerSummary>>;
}

/** What a health check looks at, and when it is down. */
export interface HealthCheckOptions {
  /** Names of the breakers to look at. Default: all. */
  readonly breakers?: readonly string[] | undefined;
  /** `'never'` reports without ever being down. Default `'open'`. */
  readonly failOn?: 'open' | 'never' | undefined;
}

const schema: Schema<HealthCheckOptions> = {
  breakers: { rule: listOfNames, default: undefined },
  failOn: { rule: oneOf('open', 'never'), default: 'open' },
};

/**
 * A health check over the application's circuit breakers: with terminus 11 or 12, or alone. Terminus is
 * not needed.
 *
 * @example
 * this.health.check([() => this.resilience.check('resilience', { breakers: ['payments'] })]);
 */
export class ResilienceHealthIndicator {
  constructor(private readonly registry: CircuitBreakerRegistry) {}

  /**
   * `down` while a selected breaker is open and its recovery time has not run out: after that an idle
   * instance must get traffic again, or it could never probe.
   * @throws ResilienceConfigError for an unknown breaker or option
   */
  check<K extends string = 'resilience'>(
    key: K = 'resilience' as K,
    options?: HealthCheckOptions,
  ): Record<K, ResilienceHealth> {
    const path = 'ResilienceHealthIndicator.check()';
    const { breakers, failOn } = requireOptions(schema, options, path);
    const named = breakers?.map((name) => this.registry.get(name));
    const selected = [...new Set(named ?? this.registry)];
    const down = failOn !== 'never' && selected.some(refusesCalls);
    const families = breakers === undefined ? this.registry.families : [];
    const degraded = selected.some(isRecovering) || families.some(hasTripped);
    const health: ResilienceHealth = {
      status: down ? 'down' : 'up',
      ...(degraded && { degraded }),
      breakers: rowsOf(selected, healthOf),
      ...(families.length > 0 && {
        keyed: rowsOf(families, (family) => family.summary()),
      }),
    };
    return { [key]: health } as Record<K, ResilienceHealth>;
  }
}

function listOfNames(value: unknown): { value: readonly string[] } | { problem: string } {
  return Array.isArray(value) && value.every((name) => typeof name === 'string')
    ? { value }
    : { problem: 'must be a list of names' };
}

function refusesCalls({ state, remainingTimeout = 0, options }: CircuitBreaker): boolean {
  return state === CircuitState.OPEN && remainingTimeout > 0 && options.mode === 'enforce';
}

function hasTripped(family: KeyedCircuitBreakers): boolean {
  return Object.keys(family.summary().notClosed).length > 0;
}

function isRecovering(breaker: CircuitBreaker): boolean {
  const { state } = breaker;
  return (
    state === CircuitState.HALF_OPEN || (state === CircuitState.OPEN && !refusesCalls(breaker))
  );
}

/** By name; those made by hand may have that of another, and `payments (2)` is the second of them. */
function rowsOf<P extends { readonly name: string }, R>(
  policies: readonly P[],
  rowOf: (policy: P) => R,
): Record<string, R> {
  const rows = new Map<string, R>();
  for (const policy of policies) {
    let { name } = policy;
    for (let count = 2; rows.has(name); count++) name = `${policy.name} (${String(count)})`;
    rows.set(name, rowOf(policy));
  }
  return Object.fromEntries(rows);
}

function healthOf({ state, remainingTimeout, stats }: CircuitBreaker): BreakerHealth {
  const { consecutiveFailures, failedCalls } = stats;
  return {
    state,
    ...(remainingTimeout !== undefined && { remainingTimeout: Math.ceil(remainingTimeout) }),
    consecutiveFailures,
    failedCalls,
  };
}
