import { LRUCache } from 'lru-cache';
import { CircuitState } from '../errors.js';
import type { Machine } from './machine.js';

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

const MOST_EXAMPLES = 10;
const LOOKS_FOR_A_KEY = 256;

/** The members of a keyed family, bounded: who makes room for a new key is decided here. */
export class KeyedMembers {
  #closed: LRUCache<string, Machine>;
  /** Not closed, in the order in which they left that state: not to be forgotten. */
  readonly #tripped = new Map<string, Machine>();
  #evicted = 0;
  #looks = Infinity;

  constructor(private maxKeys: number) {
    this.#closed = new LRUCache({ max: maxKeys });
  }

  get size(): number {
    return this.#closed.size + this.#tripped.size;
  }

  /** Being asked for keeps it. */
  get(key: string): Machine | undefined {
    return this.#closed.get(key) ?? this.#tripped.get(key);
  }

  /** A closed one. */
  add(member: Machine): void {
    if (this.size >= this.maxKeys) this.#evictOne();
    this.#closed.set(member.key, member);
  }

  forEach(visit: (member: Machine) => void): void {
    for (const member of this.#closed.values()) visit(member);
    for (const member of this.#tripped.values()) visit(member);
  }

  resize(maxKeys: number): void {
    while (this.size > maxKeys) this.#evictOne();
    const closed = new LRUCache<string, Machine>({ max: maxKeys });
    for (const key of this.#closed.rkeys()) closed.set(key, this.#closed.peek(key));
    this.#closed = closed;
    this.maxKeys = maxKeys;
  }

  moved(member: Machine, from: CircuitState): void {
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
}
