import type { RateLimitOptions } from '../core/rate-limiter/options.js';
import type { RateLimitPolicy } from '../core/rate-limiter/rate-limiter.js';
import type { AnyMethodDecorator } from './decorator-types.js';
import { policyDecorator } from './policy-decorator.js';

/**
 * Limits how many calls of the method start in a time; with `maxWait` they wait for their turn.
 *
 * @param rateLimit the name of a rate limit of the module (shared by all who name it), options, or a
 * policy made by hand
 * @example
 * @RateLimit({ limit: 100, interval: '1s' })
 * quote(pair: string): Promise<Quote> { ... }
 * @throws RateLimitedError (the method) with `retryAfter` in milliseconds
 */
export function RateLimit(
  rateLimit: string | RateLimitOptions | RateLimitPolicy,
): AnyMethodDecorator {
  return policyDecorator('RateLimit', { part: 'rateLimit', given: rateLimit });
}
