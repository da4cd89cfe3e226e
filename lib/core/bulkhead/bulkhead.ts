import { Policy, type PolicySetting, type PolicySnapshot, type Stage } from '../policy.js';
import { runtimeWith } from '../runtime.js';
import { requireOptions } from '../validation.js';
import { type BulkheadOptions, type ResolvedBulkheadOptions, bulkheadSchema } from './options.js';
import { type BulkheadOutcome, Slots } from './slots.js';

export interface BulkheadSnapshot extends PolicySnapshot {
  readonly calls: Readonly<Record<BulkheadOutcome, number>>;
  /** Slots taken now, by calls and by work that outlived its caller. */
  readonly inUse: number;
  /** Calls waiting now. */
  readonly queued: number;
}

/** Keeps one dependency from taking every resource of the process. Made by `bulkhead()`. */
export class BulkheadPolicy extends Policy {
  readonly kind = 'bulkhead';
  readonly name: string;
  readonly options: ResolvedBulkheadOptions;
  readonly #slots: Slots;

  constructor(options?: BulkheadOptions, { name = 'bulkhead', runtime }: PolicySetting = {}) {
    super();
    this.options = requireOptions(bulkheadSchema, options, `bulkhead(${name})`);
    this.name = this.options.name ?? name;
    this.#slots = new Slots(this.name, this.options, runtimeWith(runtime));
  }

  stages(): [Stage] {
    return [this.options.maxQueue === 0 ? this.#slots : this.#slots.lasting];
  }

  snapshot(): BulkheadSnapshot {
    const { id, kind, name, options } = this;
    const { calls, inUse, queued } = this.#slots;
    return { id, kind, name, options, calls: { ...calls }, inUse, queued };
  }
}

/**
 * At most `maxConcurrent` calls at once; `maxQueue` more wait, strictly first in, first out. A call
 * holds its slot until its work has settled, also when a time limit has released its caller before.
 * Without a queue it keeps the kind of the function's result; with one it gives a promise.
 *
 * @example
 * const reports = bulkhead({ maxConcurrent: 5, maxQueue: 100, queueTimeout: '2s' });
 * const pdf = await reports.execute(() => render(id));
 * @throws ResilienceConfigError naming every option that breaks its rule; a call that finds no room,
 *   or waits longer than `queueTimeout`, gets a BulkheadRejectedError
 */
export function bulkhead(options?: BulkheadOptions, setting?: PolicySetting): BulkheadPolicy {
  return new BulkheadPolicy(options, setting);
}
