import { Brand } from '../brand.js';
import type { Duration } from '../duration.js';
import { ResilienceConfigError } from '../errors.js';
import type { Layer, PolicySetting, Stage } from '../policy.js';
import { type Runtime, runtimeWith } from '../runtime.js';
import { type Rule, type Schema, duration, number, requireOptions } from '../validation.js';

/** How many retries and hedges all sharers may add to their calls. */
export interface RetryBudgetOptions {
  /** Extra attempts for each call, as a fraction. Default 0.2. */
  ratio?: number | undefined;
  /** Extra attempts a second that are always allowed, for quiet times. Default 10. */
  minPerSecond?: number | undefined;
  /** How long a call counts. Default 10 s. */
  ttl?: Duration | undefined;
}

interface ResolvedRetryBudgetOptions {
  readonly ratio: number;
  readonly minPerSecond: number;
  readonly ttl: number;
}

const schema: Schema<ResolvedRetryBudgetOptions> = {
  ratio: { rule: number({ min: 0 }), default: 0.2 },
  minPerSecond: { rule: number({ min: 0 }), default: 10 },
  ttl: { rule: duration(100), default: 10_000 },
};

/** A call counts for at most its ttl, an extra attempt for at least that: one bucket more. */
const CALL_BUCKETS = 20;
const BUCKETS = CALL_BUCKETS + 1;
/** What sums of fractions may be short of a whole attempt. */
const ROUNDING = 1e-9;

/**
 * A token bucket over the last `ttl`: calls deposit `ratio` of a retry, retries withdraw a whole one.
 * Shared by name, it keeps the retries of any `ttl` within `ratio` x its calls + `minPerSecond`, however
 * many callers there are. It forgets by twentieths of `ttl`, so it may grant some 5% less than that.
 * @see Finagle's RetryBudget, https://twitter.github.io/finagle/guide/Clients.html#retries
 */
export class RetryBudget {
  readonly options: ResolvedRetryBudgetOptions;
  readonly #runtime: Runtime;
  readonly #calls = new Int32Array(BUCKETS);
  readonly #extras = new Int32Array(BUCKETS);
  #bucket: number;
  #refused = 0;

  constructor(
    options?: RetryBudgetOptions,
    { runtime, name = 'default' }: Pick<PolicySetting, 'name' | 'runtime'> = {},
  ) {
    this.options = requireOptions(schema, options, `budget(${name})`);
    this.#runtime = runtimeWith(runtime);
    this.#bucket = this.#now();
  }

  /** One call begins: it pays `ratio` of a retry in. */
  deposit(): void {
    this.#rotate();
    add(this.#calls, this.#bucket);
  }

  /** Takes one retry out; false when the budget is empty. */
  withdraw(): boolean {
    this.#rotate();
    if (this.balance + ROUNDING < 1) {
      this.#refused++;
      return false;
    }
    add(this.#extras, this.#bucket);
    return true;
  }

  /** Extra attempts that are left now. */
  get balance(): number {
    this.#rotate();
    const { ratio, minPerSecond, ttl } = this.options;
    const calls = sum(this.#calls) - (this.#calls[(this.#bucket + 1) % BUCKETS] as number); // the oldest
    const allowed = calls * ratio + (minPerSecond * ttl) / 1000;
    return Math.max(0, allowed - sum(this.#extras));
  }

  snapshot(): { options: ResolvedRetryBudgetOptions; balance: number; refused: number } {
    return { options: this.options, balance: this.balance, refused: this.#refused };
  }

  #now(): number {
    return Math.floor((this.#runtime.clock.now() * CALL_BUCKETS) / this.options.ttl);
  }

  /** Forgets every bucket that has gone by, also after a long idle time. */
  #rotate(): void {
    const now = this.#now();
    for (let at = Math.max(this.#bucket + 1, now - BUCKETS + 1); at <= now; at++) {
      this.#calls[at % BUCKETS] = 0;
      this.#extras[at % BUCKETS] = 0;
    }
    this.#bucket = Math.max(this.#bucket, now);
  }
}

function add(ring: Int32Array, bucket: number): void {
  const at = bucket % BUCKETS;
  ring[at] = (ring[at] as number) + 1;
}

function sum(ring: Int32Array): number {
  let total = 0;
  for (const each of ring) total += each;
  return total;
}

const retryBudget = new Brand<RetryBudget>('retry-budget');
retryBudget.put(RetryBudget);

/** One call begins under a policy with `budget`, unless what stands around it has paid for that call. */
export function payInto(budget: RetryBudget | undefined, around: readonly Stage[]): void {
  if (budget === undefined) return;
  if (!around.some((stage) => (stage as Layer).budget === budget)) budget.deposit();
}

/** A budget, or the name of one. */
export const budgetRule: Rule<RetryBudget | string> = (value) =>
  retryBudget.isOn(value) || (typeof value === 'string' && value !== '')
    ? { value }
    : { problem: 'must be a RetryBudget or the name of one' };

/** A name stands for a budget of the application, which has put the budget itself in its place. */
export function requireBudget(
  budget: RetryBudget | string | undefined,
  path: string,
): RetryBudget | undefined {
  if (typeof budget !== 'string') return budget;
  throw new ResilienceConfigError([
    `${path}.budget "${budget}" is a name, and names are known to a module only; pass a RetryBudget`,
  ]);
}
