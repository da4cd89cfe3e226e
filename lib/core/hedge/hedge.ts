import {
  type Deliver,
  type Layer,
  Policy,
  type PolicySetting,
  type PolicySnapshot,
  type Stage,
} from '../policy.js';
import { type RetryBudget, payInto, requireBudget } from '../retry/retry-budget.js';
import { type Runtime, runtimeWith } from '../runtime.js';
import { requireOptions } from '../validation.js';
import { type HedgeDelay, hedgeDelay } from './hedge-delay.js';
import { HedgedCall } from './hedged-call.js';
import { type HedgeOptions, type ResolvedHedgeOptions, hedgeSchema } from './options.js';

/** Which try answered the call. */
export type HedgeOutcome = 'original' | 'hedge' | 'none';

/** What a hedge has done: `calls` by who answered first; counters only go up. */
export interface HedgeSnapshot extends PolicySnapshot {
  readonly calls: Readonly<Record<HedgeOutcome, number>>;
  /** Tries made, first ones included. */
  readonly attempts: number;
  /** Milliseconds before another try now; absent while a quantile is not known. */
  readonly delay?: number;
}

/** Starts another try where one takes long, and takes the first answer. Made by `hedge()`. */
export class HedgePolicy extends Policy implements Layer {
  readonly kind = 'hedge';
  readonly name: string;
  readonly options: ResolvedHedgeOptions;
  readonly answersEarly = true;
  readonly runtime: Runtime;
  readonly budget: RetryBudget | undefined;
  readonly delay: HedgeDelay;
  readonly calls: Record<HedgeOutcome, number> = { original: 0, hedge: 0, none: 0 };
  attempts = 0;

  constructor(options: HedgeOptions, setting: PolicySetting = {}) {
    super(setting);
    this.name = setting.name ?? 'hedge';
    const path = `hedge(${this.name})`;
    this.options = requireOptions(hedgeSchema, options, path);
    this.runtime = runtimeWith(setting.runtime);
    this.budget = requireBudget(this.options.budget, path);
    this.delay = hedgeDelay(this.options.delay);
  }

  stages(): [Layer] {
    return [this];
  }

  deliver(next: Deliver, around: readonly Stage[]): Deliver {
    return (work, self, args, call, receiver) => {
      payInto(this.budget, around);
      new HedgedCall(this, next, { work, self, args, call }, receiver).begin();
    };
  }

  snapshot(): HedgeSnapshot {
    const { id, kind, name, options, calls, attempts } = this;
    const { current } = this.delay;
    return {
      id,
      kind,
      name,
      options,
      calls: { ...calls },
      attempts,
      ...(current !== undefined && { delay: current }),
    };
  }
}

/**
 * Starts another try when none has answered within `delay`, or at once when the last one running has
 * failed. The first success wins and the others are aborted; where all fail, the last error is thrown.
 * For work that may run twice: reads, and writes with an idempotency key.
 *
 * @example
 * const quick = hedge({ delay: 'p95', maxHedges: 1 });
 * const user = await quick.execute(({ signal }) => fetch(url, { signal }));
 * @throws ResilienceConfigError naming every option that breaks its rule
 * @see Dean and Barroso, "The Tail at Scale", CACM 56 (2013) 2
 */
export function hedge(options: HedgeOptions, setting?: PolicySetting): HedgePolicy {
  return new HedgePolicy(options, setting);
}
