import { Policy, type PolicySetting, type PolicySnapshot, type Stage } from '../policy.js';
import { runtimeWith } from '../runtime.js';
import { requireOptions } from '../validation.js';
import { Limiter, type LimiterOptions, type RateLimitOutcome } from './limiter.js';
import { type RateLimitOptions, rateLimitSchema } from './options.js';

export interface RateLimitSnapshot extends PolicySnapshot {
  readonly calls: Readonly<Record<RateLimitOutcome, number>>;
  /** Tokens there now; partial ones too. */
  readonly tokens: number;
  /** Calls waiting now. */
  readonly queued: number;
}

/** Limits how many calls start in a time. Made by `rateLimit()`. */
export class RateLimitPolicy extends Policy {
  readonly kind = 'rateLimit';
  readonly name: string;
  readonly options: LimiterOptions;
  readonly #limiter: Limiter;

  constructor(options: RateLimitOptions, { name = 'rateLimit', runtime }: PolicySetting = {}) {
    super();
    const given = requireOptions(rateLimitSchema, options, `rateLimit(${name})`);
    this.options = Object.freeze({ ...given, burst: given.burst ?? given.limit });
    this.name = this.options.name ?? name;
    this.#limiter = new Limiter(this.name, this.options, runtimeWith(runtime));
  }

  stages(): [Stage] {
    return [this.options.maxWait === 0 ? this.#limiter : this.#limiter.waiting];
  }

  snapshot(): RateLimitSnapshot {
    const { id, kind, name, options } = this;
    const { calls, tokens, queued } = this.#limiter;
    return { id, kind, name, options, calls: { ...calls }, tokens, queued };
  }
}

/**
 * A token bucket: `burst` calls at once, `limit` in each `interval` in the long run. Without `maxWait`
 * it keeps the kind of the function's result; with one, calls wait in order and it gives a promise.
 *
 * @example
 * const partner = rateLimit({ limit: 100, interval: '1s', maxWait: '250ms' });
 * const quote = await partner.execute(({ signal }) => fetch(url, { signal }));
 * @throws ResilienceConfigError naming every option that breaks its rule; a call that would have to
 *   wait longer than `maxWait` gets a RateLimitedError with the exact `retryAfter` in milliseconds
 */
export function rateLimit(options: RateLimitOptions, setting?: PolicySetting): RateLimitPolicy {
  return new RateLimitPolicy(options, setting);
}
