import { Brand } from '../brand.js';
import { type Runtime, defaultRuntime } from '../runtime.js';
import { Issues, readOptions } from '../validation.js';
import { delayAfter } from './backoff.js';
import type { RetryBudget } from './retry-budget.js';
import { type ResolvedRetryOptions, type RetryOptions, retrySchema } from './options.js';

/**
 * Retry options, checked and complete, to be reused wherever options are taken.
 *
 * @example
 * const api = new RetryConfig({ maxAttempts: 5, baseDelay: '200ms', retryOn: isTransientError });
 * const fetchUser = withRetry(api)((id: string) => client.get(`/users/${id}`));
 * @throws ResilienceConfigError naming every option that breaks its rule
 */
export class RetryConfig implements ResolvedRetryOptions {
  readonly maxAttempts!: number;
  readonly baseDelay!: number;
  readonly maxDelay!: number;
  readonly exponentialBase!: number;
  readonly jitter!: ResolvedRetryOptions['jitter'];
  readonly backoff!: ResolvedRetryOptions['backoff'];
  readonly retryOn: ResolvedRetryOptions['retryOn'];
  readonly abortOn: ResolvedRetryOptions['abortOn'];
  readonly retryOnResult: ResolvedRetryOptions['retryOnResult'];
  readonly onRetry: ResolvedRetryOptions['onRetry'];
  readonly maxDuration: number | undefined;
  readonly respectRetryAfter!: boolean;
  readonly budget: RetryBudget | string | undefined;
  readonly timings: ResolvedRetryOptions['timings'];

  constructor(options?: RetryOptions) {
    Object.assign(this, resolveRetryOptions(options, 'retry'));
    Object.freeze(this);
  }

  /**
   * The wait in milliseconds after `attempt` (1-based) has failed, jittered by `random`.
   * @param previousDelay the wait before it, for decorrelated jitter; default `baseDelay`
   */
  calculateDelay(
    attempt: number,
    previousDelay = this.baseDelay,
    random: Runtime['random'] = defaultRuntime.random,
  ): number {
    return delayAfter(this, { attempt, previousDelay, random });
  }
}

const retryConfig = new Brand<RetryConfig>('retry-config');
retryConfig.put(RetryConfig);

/** Of whichever installed copy. */
export function isRetryConfig(options: unknown): options is RetryConfig {
  return retryConfig.isOn(options);
}

/** @throws ResilienceConfigError */
export function resolveRetryOptions(options: unknown, path: string): ResolvedRetryOptions {
  const issues = new Issues();
  const resolved = readRetryOptions(options, path, issues);
  issues.throwIfAny();
  return resolved;
}

/** The same, adding to a list of problems. */
export function readRetryOptions(
  options: unknown,
  path: string,
  issues: Issues,
): ResolvedRetryOptions {
  if (isRetryConfig(options)) return options;
  return readOptions(retrySchema, options, path, issues);
}
