import { Policy, type PolicySetting, type PolicySnapshot, type Stage } from '../policy.js';
import { runtimeWith } from '../runtime.js';
import { type LiveOptions, changedOptions, givenOptions, prepared } from '../live-options.js';
import { type Issues, requireOptions } from '../validation.js';
import { Limiter, type LimiterOptions, type RateLimitOutcome } from './limiter.js';
import {
  type RateLimitOptions,
  type ResolvedRateLimitOptions,
  rateLimitSchema,
} from './options.js';

/** What a rate limit has done and what is left in its bucket: `calls` and `shadowRejections` only go up. */
export interface RateLimitSnapshot extends PolicySnapshot {
  /** In shadow mode `waited` counts calls that would have waited. */
  readonly calls: Readonly<Record<RateLimitOutcome, number>>;
  /** Tokens there now; partial ones too. */
  readonly tokens: number;
  /** Calls waiting now. */
  readonly queued: number;
  /** Calls that shadow mode let through and that would have been turned away. */
  readonly shadowRejections: number;
}

/** Limits how many calls start in a time. Made by `rateLimit()`. */
export class RateLimitPolicy extends Policy {
  readonly kind = 'rateLimit';
  readonly name: string;
  readonly #limiter: Limiter;
  /** Where calls may wait it is a layer, and its callers hold promises: which it is stays as it was made. */
  readonly #waits: boolean;
  #live: LiveOptions<LimiterOptions>;

  constructor(options: RateLimitOptions, setting: PolicySetting = {}) {
    super(setting);
    const { name = 'rateLimit', runtime } = setting;
    const inForce = complete(requireOptions(rateLimitSchema, options, `rateLimit(${name})`));
    this.#live = { given: givenOptions(options, inForce), inForce };
    this.#waits = inForce.maxWait > 0;
    this.name = inForce.name ?? name;
    this.#limiter = new Limiter(this.name, inForce, runtimeWith(runtime));
  }

  /** The options in force: frozen, durations in milliseconds. */
  get options(): LimiterOptions {
    return this.#live.inForce;
  }

  stages(): [Stage] {
    return [this.#waits ? this.#limiter.waiting : this.#limiter];
  }

  /**
   * Changes options while it works: all of `changes` or, where one breaks its rule, none. The tokens
   * that are there stay, as many as the new `burst` holds; calls that wait keep their places.
   * @throws ResilienceConfigError naming every option that breaks its rule, or that cannot change: a
   *   limit made without `maxWait` gets none
   */
  configure(changes: Partial<RateLimitOptions>): void {
    this.prepare(changes)();
  }

  /**
   * Checks a change and gives what makes it: for several policies that change all or none.
   * @throws ResilienceConfigError as `configure` does
   */
  prepare(changes: Partial<RateLimitOptions>): () => void {
    const path = `rateLimit(${this.name})`;
    return prepared(changes, (asked) => {
      const changed = changedOptions<ResolvedRateLimitOptions>(
        this.#live,
        asked,
        rateLimitSchema,
        path,
        (options, issues) => this.#requireSameForm(options, path, issues),
      );
      const live = { given: changed.given, inForce: complete(changed.inForce) };
      return () => {
        this.#live = live;
        this.#limiter.configure(live.inForce);
      };
    });
  }

  #requireSameForm({ maxWait }: ResolvedRateLimitOptions, path: string, issues: Issues): void {
    if (this.#waits || maxWait === 0) return;
    issues.list.push(
      `${path}.maxWait cannot become ${String(maxWait)} while the policy works: it was made without ` +
        'one, and its calls may be synchronous; start it with maxWait of at least 1 ms',
    );
  }

  snapshot(): RateLimitSnapshot {
    const { id, kind, name, options } = this;
    const { calls, tokens, queued, shadowRejections } = this.#limiter;
    return { id, kind, name, options, calls: { ...calls }, tokens, queued, shadowRejections };
  }
}

function complete(options: ResolvedRateLimitOptions): LimiterOptions {
  return Object.freeze({ ...options, burst: options.burst ?? options.limit });
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
