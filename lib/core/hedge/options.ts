import type { Duration } from '../duration.js';
import { type RetryBudget, budgetRule } from '../retry/retry-budget.js';
import { type Rule, type Schema, duration, either, integer, required } from '../validation.js';
import { type TimingsMode, timingsField } from '../timings.js';

/** When to start another try. */
export interface HedgeOptions {
  /**
   * How long to wait for an answer before another try is started: a time, or a quantile of the
   * latencies seen, such as `'p95'`. Until 20 are known a quantile starts none by time.
   */
  delay: Duration;
  /** Tries besides the first. Default 1. */
  maxHedges?: number | undefined;
  /** Record how long calls take: `'off'`, `'sampled'` (one in 17) or `'all'`. Default `'off'`. */
  timings?: TimingsMode | undefined;
  /** A budget shared with other hedges and retries; a name is the application's. */
  budget?: RetryBudget | string | undefined;
}

/** The options in force: the delay in milliseconds, or the quantile. */
export interface ResolvedHedgeOptions {
  readonly delay: number | string;
  readonly maxHedges: number;
  readonly timings: TimingsMode | undefined;
  readonly budget: RetryBudget | string | undefined;
}

const quantile: Rule<string> = (value) =>
  typeof value === 'string' && rankOf(value) > 0
    ? { value }
    : { problem: 'must be a quantile such as "p95"' };

/** `p95` is 0.95; NaN for what is no quantile. */
export function rankOf(quantile: string): number {
  return /^p\d{1,2}(\.\d+)?$/.test(quantile) ? Number(quantile.slice(1)) / 100 : NaN;
}

export const hedgeSchema: Schema<ResolvedHedgeOptions> = {
  delay: required(either(duration(), quantile)),
  maxHedges: { rule: integer(1), default: 1 },
  timings: timingsField,
  budget: { rule: budgetRule, default: undefined },
};
