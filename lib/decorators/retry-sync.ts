import type { RetryOptions } from '../core/retry/options.js';
import type { RetryConfig } from '../core/retry/retry-config.js';
import type { SyncMethodDecorator } from './decorator-types.js';
import { policyDecorator } from './policy-decorator.js';

/**
 * Runs a synchronous method again when it throws. It **blocks the thread** between the tries: for
 * start-up code and scripts, not for a server that answers requests.
 *
 * @param retry options, a RetryConfig, or the name of a retry of the module
 * @throws RetryExhaustedError (the method) when attempts or duration run out
 */
export function RetrySync(retry?: string | RetryOptions | RetryConfig): SyncMethodDecorator {
  return policyDecorator('RetrySync', { part: 'retrySync', given: retry }) as SyncMethodDecorator;
}
