import { Policy, type PolicySetting, type PolicySnapshot, type Stage } from '../policy.js';
import { runtimeWith } from '../runtime.js';
import { type Issues, requireOptions } from '../validation.js';
import { type LiveOptions, changedOptions, givenOptions, prepared } from '../live-options.js';
import { type BulkheadOptions, type ResolvedBulkheadOptions, bulkheadSchema } from './options.js';
import { type BulkheadOutcome, Slots } from './slots.js';

/** What a bulkhead has done and how full it is: `calls` and `shadowRejections` only go up. */
export interface BulkheadSnapshot extends PolicySnapshot {
  readonly calls: Readonly<Record<BulkheadOutcome, number>>;
  /**
   * Slots taken now, by calls and by work that outlived its caller. In shadow mode calls that would
   * wait have begun and count too, so that it goes up to `maxConcurrent + maxQueue`.
   */
  readonly inUse: number;
  /** Calls waiting now. */
  readonly queued: number;
  /** Calls that shadow mode let through and that would have been rejected. */
  readonly shadowRejections: number;
  /** Those of them that run now: they take no slot. */
  readonly spared: number;
}

/** Keeps one dependency from taking every resource of the process. Made by `bulkhead()`. */
export class BulkheadPolicy extends Policy {
  readonly kind = 'bulkhead';
  readonly name: string;
  readonly #slots: Slots;
  /** With a queue it is a layer, and its callers hold promises: which it is stays as it was made. */
  readonly #queues: boolean;
  #live: LiveOptions<ResolvedBulkheadOptions>;

  constructor(options?: BulkheadOptions, setting: PolicySetting = {}) {
    super(setting);
    const { name = 'bulkhead', runtime } = setting;
    const inForce = requireOptions(bulkheadSchema, options, `bulkhead(${name})`);
    this.#live = { given: givenOptions(options, inForce), inForce };
    this.#queues = inForce.maxQueue > 0;
    this.name = inForce.name ?? name;
    this.#slots = new Slots(this.name, inForce, runtimeWith(runtime));
  }

  /** The options in force: frozen, durations in milliseconds. */
  get options(): ResolvedBulkheadOptions {
    return this.#live.inForce;
  }

  stages(): [Stage] {
    return [this.#queues ? this.#slots.lasting : this.#slots];
  }

  /**
   * Changes options while it works: all of `changes` or, where one breaks its rule, none. Calls keep
   * their slots and their places in the queue. With more slots those that wait start at once; with
   * fewer, nothing starts until enough have been given back.
   * @throws ResilienceConfigError naming every option that breaks its rule, or that cannot change: a
   *   bulkhead made without a queue gets none
   */
  configure(changes: BulkheadOptions): void {
    this.prepare(changes)();
  }

  /**
   * Checks a change and gives what makes it: for several policies that change all or none.
   * @throws ResilienceConfigError as `configure` does
   */
  prepare(changes: BulkheadOptions): () => void {
    const path = `bulkhead(${this.name})`;
    return prepared(changes, (asked) => {
      const live = changedOptions(this.#live, asked, bulkheadSchema, path, (changed, issues) => {
        this.#requireSameForm(changed, path, issues);
      });
      return () => {
        this.#live = live;
        this.#slots.configure(live.inForce);
      };
    });
  }

  #requireSameForm({ maxQueue }: ResolvedBulkheadOptions, path: string, issues: Issues): void {
    if (this.#queues || maxQueue === 0) return;
    issues.list.push(
      `${path}.maxQueue cannot become ${String(maxQueue)} while the policy works: it was made without ` +
        'a queue, and its calls may be synchronous; start it with maxQueue of at least 1',
    );
  }

  snapshot(): BulkheadSnapshot {
    const { id, kind, name, options } = this;
    const { calls, inUse, queued, spared } = this.#slots;
    return {
      id,
      kind,
      name,
      options,
      calls: { ...calls },
      inUse,
      queued,
      shadowRejections: spared.total,
      spared: spared.running,
    };
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
