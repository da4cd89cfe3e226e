import type { INestApplicationContext } from '@nestjs/common';
import {
  type CircuitBreaker,
  CircuitBreakerRegistry,
  type Policy,
  type PolicySnapshot,
  ResilienceEvents,
  getPolicyToken,
} from 'nestjs-bulwark';
import { TENANTS } from './load.js';
import { EVENTS, OUTCOMES, policies } from './policies.js';

/** What a policy shows of the room that it has given away. */
interface Room extends PolicySnapshot {
  readonly inUse?: number;
  readonly queued?: number;
  readonly options: { readonly maxConcurrent?: number; readonly maxQueue?: number };
}

/** Reads the figures of an application's policies and tells which contradict themselves. */
export class Invariants {
  readonly #registry: CircuitBreakerRegistry;
  readonly #named: readonly Policy[];
  /** What was wrong, each once. */
  readonly violations = new Set<string>();
  /** How many of each type there were. */
  readonly events = new Map<string, number>();

  constructor(app: INestApplicationContext) {
    this.#registry = app.get(CircuitBreakerRegistry);
    this.#named = ['everything', 'reads'].map((name) => app.get<Policy>(getPolicyToken(name)));
    app.get(ResilienceEvents).subscribe(({ type }) => {
      this.events.set(type, (this.events.get(type) ?? 0) + 1);
    });
  }

  /** Every breaker of the application, those of the tenants included. */
  breakers(): CircuitBreaker[] {
    const tenants = this.#registry.keyed('tenants');
    return [...this.#registry, ...TENANTS.map((tenant) => tenants.for(tenant))];
  }

  /** What holds at any moment: every call is counted once, and no room is given away twice. */
  checkAlways(): void {
    for (const { name, stats } of this.#registry) this.#checkSum(name, stats);
    for (const { name, inUse = 0, queued = 0, options } of this.#rooms()) {
      const { maxConcurrent = Infinity, maxQueue = Infinity } = options;
      this.expect(inUse >= 0 && inUse <= maxConcurrent, `${name}: ${inUse} slots in use`);
      this.expect(queued >= 0 && queued <= maxQueue, `${name}: ${queued} calls queued`);
    }
    for (const { name, size, options } of this.#registry.families) {
      this.expect(size <= options.maxKeys, `${name}: ${size} keys`);
    }
  }

  #checkSum(name: string, stats: CircuitBreaker['stats']): void {
    const { totalCalls, successfulCalls, failedCalls, rejectedCalls, ignoredCalls, inFlight } =
      stats;
    const sum = successfulCalls + failedCalls + rejectedCalls + ignoredCalls + inFlight;
    this.expect(sum === totalCalls, `${name}: ${totalCalls} calls, ${sum} accounted for`);
    this.expect(inFlight >= 0, `${name}: ${inFlight} calls in flight`);
  }

  /** What holds when nobody calls and nothing hangs. */
  checkAtRest(): void {
    this.checkAlways();
    for (const { name, stats } of this.breakers()) {
      this.#checkSum(name, stats);
      this.expect(stats.inFlight === 0, `${name}: ${stats.inFlight} calls in flight at rest`);
    }
    for (const { name, inUse = 0, queued = 0 } of this.#rooms()) {
      this.expect(inUse === 0, `${name}: ${inUse} slots in use at rest`);
      this.expect(queued === 0, `${name}: ${queued} calls queued at rest`);
    }
  }

  /** Whether a policy still has something to do. */
  get isBusy(): boolean {
    return (
      this.breakers().some(({ stats }) => stats.inFlight > 0) ||
      this.#rooms().some(({ inUse = 0, queued = 0 }) => inUse + queued > 0)
    );
  }

  /** What no call of the run has met. */
  unseen(): string[] {
    const events = EVENTS.filter((type) => !this.events.has(type));
    const outcomes = Object.entries(policies).flatMap(([name, policy]) => {
      const { calls } = policy.snapshot() as { calls: Readonly<Record<string, number>> };
      const wanted = OUTCOMES[name as keyof typeof policies];
      return wanted.filter((outcome) => !calls[outcome]).map((outcome) => `${name}: ${outcome}`);
    });
    return [...events, ...outcomes];
  }

  expect(holds: boolean, otherwise: string): void {
    if (!holds) this.violations.add(otherwise);
  }

  /** The figures of every breaker and of every other policy, a line each. */
  figures(): string[] {
    const breakers = this.breakers().map(({ name, state, stats }) => {
      const { totalCalls, successfulCalls, failedCalls, rejectedCalls, ignoredCalls } = stats;
      return (
        `${name.padEnd(20)} ${state.padEnd(9)} ${totalCalls} calls = ${successfulCalls} ok + ` +
        `${failedCalls} failed + ${rejectedCalls} rejected + ${ignoredCalls} ignored + ` +
        `${stats.inFlight} in flight; ${stats.stateChanges} changes`
      );
    });
    const others = this.#snapshots()
      .filter(({ kind }) => kind !== 'circuitBreaker')
      .map(({ kind, name, ...figures }) => {
        const { calls, attempts } = figures as { calls?: object; attempts?: number };
        const tries = attempts === undefined ? '' : ` in ${attempts} attempts`;
        return `${`${kind} ${name}`.padEnd(30)} ${JSON.stringify(calls ?? {})}${tries}`;
      });
    const families = this.#registry.families.map((family) => {
      const { keys, evicted } = family.summary();
      return `${family.id.padEnd(30)} ${keys} keys, ${evicted} evicted`;
    });
    return [...breakers, ...others, ...families];
  }

  #rooms(): Room[] {
    return this.#snapshots() as Room[];
  }

  #snapshots(): PolicySnapshot[] {
    const parts = this.#named.flatMap((policy) => policy.parts());
    return [...Object.values(policies), ...parts].map((policy) => policy.snapshot());
  }
}
