import { LRUCache } from 'lru-cache';
import { CircuitState } from '../errors.js';
import {
  type Gate,
  type Pass,
  Policy,
  type PolicySetting,
  type PolicySnapshot,
  type Stage,
} from '../policy.js';
import { runtimeWith } from '../runtime.js';
import type { TimingSummary } from '../timings.js';
import { type BreakerKeyFunction, boundedKey } from './breaker-key.js';
import { CircuitBreaker } from './circuit-breaker.js';
import { Machine } from './machine.js';
import { MemberPass } from './member-pass.js';
import {
  type BreakerOptionsInForce,
  type CircuitBreakerOptions,
  changedOptions,
  resolveBreakerOptions,
} from './options.js';
import { Rules } from './rules.js';

export type { BreakerKeyFunction } from './breaker-key.js';

/** What a family of breakers shows of itself: never a row for each key. */
export interface KeyedBreakerSummary {
  readonly keys: number;
  /** How many of them are not closed, by state. */
  readonly notClosed: Readonly<Partial<Record<CircuitState, number>>>;
  /** Some of those, at most ten, the one longest not closed first. */
  readonly examples: readonly { readonly key: string; readonly state: CircuitState }[];
  /** Breakers dropped to make room. */
  readonly evicted: number;
}

/** A family of breakers at one moment: bounded, however many keys it has. */
export interface KeyedBreakersSnapshot extends PolicySnapshot {
  readonly summary: KeyedBreakerSummary;
}

const MOST_EXAMPLES = 10;
const LOOKS_FOR_A_KEY = 256;

/**
 * One circuit breaker for each key, at most `maxKeys`. The least recently used closed, idle one makes
 * room for a new key; one that is not closed goes only when all are like it.
 */
export class KeyedCircuitBreakers extends Policy {
  readonly kind = 'circuitBreaker';
  #rules: Rules;
  #closed: LRUCache<string, Machine>;
  /** Not closed, in the order in which they left that state: not to be forgotten. */
  readonly #tripped = new Map<string, Machine>();
  /** Made for those who asked for a key's breaker; the gate needs the machine alone. */
  readonly #faces = new WeakMap<Machine, CircuitBreaker>();
  #evicted = 0;
  #looks = Infinity;

  constructor(
    readonly name: string,
    options?: CircuitBreakerOptions,
    setting: Omit<PolicySetting, 'name'> = {},
  ) {
    super(setting);
    const inForce = resolveBreakerOptions(name, options);
    this.#rules = new Rules(name, inForce, runtimeWith(setting.runtime), this.id, {
      nameOf: (key) => `${name}[${key}]`,
      moved: (member, from) => this.#moved(member, from),
    });
    this.#closed = new LRUCache({ max: inForce.maxKeys });
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
    const options = changedOptions(this.name, this.options, changes);
    return () => {
      this.#rules = this.#rules.with(options);
      for (const machine of this.#closed.values()) machine.configure(this.#rules);
      for (const machine of this.#tripped.values()) machine.configure(this.#rules);
      this.#resize(options.maxKeys);
    };
  }

  #resize(maxKeys: number): void {
    while (this.size > maxKeys) this.#evictOne();
    const closed = new LRUCache<string, Machine>({ max: maxKeys });
    for (const key of this.#closed.rkeys()) closed.set(key, this.#closed.peek(key));
    this.#closed = closed;
  }

  override get id(): string {
    return `breaker:${this.name}[*]`;
  }

  /** The breaker of a key, made when it is not known; using it keeps it. */
  for(key: string | number | bigint | boolean): CircuitBreaker {
    const machine = this.#machineOf(boundedKey(key));
    let face = this.#faces.get(machine);
    if (face === undefined) this.#faces.set(machine, (face = CircuitBreaker.of(machine)));
    return face;
  }

  #machineOf(key: string): Machine {
    return this.#closed.get(key) ?? this.#tripped.get(key) ?? this.#add(key);
  }

  get size(): number {
    return this.#closed.size + this.#tripped.size;
  }

  summary(): KeyedBreakerSummary {
    const notClosed: Partial<Record<CircuitState, number>> = {};
    for (const { state } of this.#tripped.values()) {
      notClosed[state.name] = (notClosed[state.name] ?? 0) + 1;
    }
    const examples = [...this.#tripped].slice(0, MOST_EXAMPLES).map(([key, { state }]) => ({
      key,
      state: state.name,
    }));
    return { keys: this.size, notClosed, examples, evicted: this.#evicted };
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
      admit: (args): Pass | undefined => {
        const machine = this.#machineOf(boundedKey(this.#keyFrom(keyOf, args)));
        const pass = machine.admit();
        refused = machine;
        return pass && new MemberPass(pass);
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
      return keyOf(...args);
    } catch (thrown) {
      this.#rules.runtime.logger.error(
        `Circuit breaker "${this.name}": key threw; the call goes to the breaker of the empty key`,
        thrown,
      );
      return '';
    }
  }

  #add(key: string): Machine {
    if (this.size >= this.options.maxKeys) this.#evictOne();
    const machine = new Machine(this.#rules, this.#rules.runtime.clock.now(), key);
    this.#closed.set(key, machine);
    return machine;
  }

  #evictOne(): void {
    const key = this.#idleKey();
    if (key !== undefined) this.#closed.delete(key);
    else this.#tripped.delete(this.#tripped.keys().next().value as string);
    this.#evicted++;
  }

  /**
   * The least recently used closed key without a call in flight; where there is none, the least recently
   * used one. A call in flight counts as use, so that the next look begins behind it.
   */
  #idleKey(): string | undefined {
    // New keys pay for looking, lest many busy ones make every new key slow.
    this.#looks = Math.min(this.#looks + LOOKS_FOR_A_KEY, this.#closed.size);
    const busy: string[] = [];
    for (const key of this.#closed.rkeys()) {
      if ((this.#closed.peek(key) as Machine).inFlight === 0) {
        this.#useAgain(busy);
        return key;
      }
      busy.push(key);
      if (--this.#looks <= 0) break;
    }
    this.#useAgain(busy);
    return busy[0];
  }

  #useAgain(keys: readonly string[]): void {
    for (const key of keys) this.#closed.get(key);
  }

  #moved(member: Machine, from: CircuitState): void {
    const { key, state } = member;
    if (from === CircuitState.CLOSED) {
      if (this.#closed.peek(key) !== member) return; // evicted before its call settled
      this.#closed.delete(key);
      this.#tripped.set(key, member);
    } else if (state.name === CircuitState.CLOSED && this.#tripped.get(key) === member) {
      this.#tripped.delete(key);
      this.#closed.set(key, member);
    }
  }
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
