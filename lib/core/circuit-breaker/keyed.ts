import { isUselessPromise } from '../thenable.js';
import {
  type Gate,
  type Pass,
  Policy,
  type PolicySetting,
  type PolicySnapshot,
  type Stage,
} from '../policy.js';
import { prepared } from '../live-options.js';
import { runtimeWith } from '../runtime.js';
import type { TimingSummary } from '../timings.js';
import { type BreakerKeyFunction, boundedKey } from './breaker-key.js';
import { CircuitBreaker } from './circuit-breaker.js';
import { type KeyedBreakerSummary, KeyedMembers } from './keyed-members.js';
import { Machine } from './machine.js';
import {
  type BreakerOptionsInForce,
  type CircuitBreakerOptions,
  changedOptions,
  resolveBreakerOptions,
} from './options.js';
import { Rules } from './rules.js';

export type { BreakerKeyFunction } from './breaker-key.js';
export type { KeyedBreakerSummary } from './keyed-members.js';

/** A family of breakers at one moment: bounded, however many keys it has. */
export interface KeyedBreakersSnapshot extends PolicySnapshot {
  readonly summary: KeyedBreakerSummary;
}

/**
 * One circuit breaker for each key, at most `maxKeys`. The least recently used closed, idle one makes
 * room for a new key; one that is not closed goes only when all are like it.
 */
export class KeyedCircuitBreakers extends Policy {
  readonly kind = 'circuitBreaker';
  #rules: Rules;
  readonly #members: KeyedMembers;
  #promisedKeys = false;
  /** Made for those who asked for a key's breaker; the gate needs the machine alone. */
  readonly #faces = new WeakMap<Machine, CircuitBreaker>();

  constructor(
    readonly name: string,
    options?: CircuitBreakerOptions,
    setting: Omit<PolicySetting, 'name'> = {},
  ) {
    super(setting);
    const inForce = resolveBreakerOptions(name, options);
    this.#rules = new Rules(name, inForce, runtimeWith(setting.runtime), this.id, {
      nameOf: (key) => `${name}[${key}]`,
      moved: (member, from) => this.#members.moved(member, from),
    });
    this.#members = new KeyedMembers(inForce.maxKeys);
  }

  /** The options in force: frozen, durations in milliseconds. */
  get options(): BreakerOptionsInForce {
    return this.#rules.options;
  }

  /**
   * Changes options of the whole family while it works: all of `changes` or, where one breaks its rule,
   * none. State and statistics of its breakers stay.
   * @throws ResilienceConfigError naming every option that breaks its rule
   */
  configure(changes: CircuitBreakerOptions): void {
    this.prepare(changes)();
  }

  /**
   * Checks a change and gives what makes it: for several that change all or none.
   * @throws ResilienceConfigError naming every option that breaks its rule
   */
  prepare(changes: CircuitBreakerOptions): () => void {
    return prepared(changes, (asked) => {
      const options = changedOptions(this.name, this.options, asked);
      return () => {
        this.#rules = this.#rules.with(options);
        this.#members.forEach((machine) => machine.configure(this.#rules));
        this.#members.resize(options.maxKeys);
      };
    });
  }

  override get id(): string {
    return familyId(this.name);
  }

  /** The breaker of a key, made when it is not known; using it keeps it. */
  for(key: string | number | bigint | boolean): CircuitBreaker {
    const machine = this.#machineOf(boundedKey(key));
    let face = this.#faces.get(machine);
    if (face === undefined) this.#faces.set(machine, (face = CircuitBreaker.of(machine)));
    return face;
  }

  #machineOf(key: string): Machine {
    return this.#members.get(key) ?? this.#add(key);
  }

  get size(): number {
    return this.#members.size;
  }

  summary(): KeyedBreakerSummary {
    return this.#members.summary();
  }

  /** Alone it takes the first argument for the key. */
  stages(): [Gate] {
    return [this.#gateBy((key: string) => key)];
  }

  /** This family, for functions whose arguments `keyOf` reads. */
  by(keyOf: BreakerKeyFunction): Policy {
    return new KeyedBy(this, this.#gateBy(keyOf));
  }

  #gateBy(keyOf: BreakerKeyFunction): Gate {
    let refused: Gate | undefined;
    return {
      admit: (args, call): Pass | undefined => {
        const machine = this.#machineOf(boundedKey(this.#keyFrom(keyOf, args)));
        const pass = machine.admit(args, call);
        refused = machine;
        return pass;
      },
      refusal: () => (refused as Gate).refusal(),
    };
  }

  snapshot(): KeyedBreakersSnapshot {
    const { id, kind, name, options } = this;
    return { id, kind, name, options, summary: this.summary() };
  }

  #keyFrom(keyOf: BreakerKeyFunction, args: readonly unknown[] = []): unknown {
    try {
      const key: unknown = keyOf(...args);
      if (!isUselessPromise(key)) return key;
      if (!this.#promisedKeys) this.#report('key returned a promise; it must not be async');
      this.#promisedKeys = true;
    } catch (thrown) {
      this.#report('key threw', thrown);
    }
    return '';
  }

  #report(problem: string, thrown?: unknown): void {
    this.#rules.runtime.logger.error(
      `Circuit breaker "${this.name}": ${problem}; the call goes to the breaker of the empty key`,
      thrown,
    );
  }

  #add(key: string): Machine {
    const machine = new Machine(this.#rules, this.#rules.runtime.clock.now(), key);
    this.#members.add(machine);
    return machine;
  }
}

/** Under which the breakers of all keys of a name speak. */
export function familyId(name: string): string {
  return `breaker:${name}[*]`;
}

/** A keyed family at one place: the same breakers, with the key that this place reads. */
class KeyedBy extends Policy {
  readonly kind = 'circuitBreaker';
  readonly name = this.family.name;

  constructor(
    private readonly family: KeyedCircuitBreakers,
    private readonly gate: Gate,
  ) {
    super();
  }

  override get id(): string {
    return this.family.id;
  }

  get options(): BreakerOptionsInForce {
    return this.family.options;
  }

  stages(): [Gate] {
    return [this.gate];
  }

  override timedStages(): readonly Stage[] {
    return this.family.timedStages(this.stages());
  }

  override get timings(): TimingSummary | undefined {
    return this.family.timings;
  }

  snapshot(): KeyedBreakersSnapshot {
    return this.family.snapshot();
  }
}
