import { CircuitBreaker } from '../core/circuit-breaker/circuit-breaker.js';
import { KeyedCircuitBreakers } from '../core/circuit-breaker/keyed.js';
import type { CircuitBreakerOptions } from '../core/circuit-breaker/options.js';
import { ResilienceConfigurator } from './configurator.js';
import type { ResilienceRegistry } from './registry.js';

/**
 * The circuit breakers of one application, to be injected. Iterating it gives every breaker made so
 * far, those of decorators without a name included.
 */
export class CircuitBreakerRegistry implements Iterable<CircuitBreaker> {
  constructor(private readonly registry: ResilienceRegistry) {}

  /** @throws ResilienceConfigError for an unknown name: it lists the known ones and the nearest */
  get(name: string): CircuitBreaker {
    return this.registry.breaker(name, 'CircuitBreakerRegistry.get()');
  }

  has(name: string): boolean {
    return this.registry.names.has('circuitBreakers', name);
  }

  /**
   * One breaker for each key under the options of a configured name, as `@CircuitProtected(name, { key })`
   * uses them.
   * @throws ResilienceConfigError for an unknown name
   */
  keyed(name: string): KeyedCircuitBreakers {
    return this.registry.keyedBreakers(name, 'CircuitBreakerRegistry.keyed()');
  }

  /** The keyed families made so far. */
  get families(): KeyedCircuitBreakers[] {
    return this.registry.policies().filter((policy) => policy instanceof KeyedCircuitBreakers);
  }

  /**
   * Changes options of configured breakers, the keyed ones of that name too, while they work: all of `changes` or, where one breaks its
   * rule or names no breaker, none. State and statistics stay.
   * @throws ResilienceConfigError with every problem
   */
  configure(changes: Readonly<Record<string, CircuitBreakerOptions>>): void {
    const place = 'CircuitBreakerRegistry.configure()';
    new ResilienceConfigurator(this.registry, place).configure({ circuitBreakers: changes });
  }

  /** The configured names. */
  get names(): string[] {
    return this.registry.names.in('circuitBreakers');
  }

  [Symbol.iterator](): IterableIterator<CircuitBreaker> {
    return this.registry
      .policies()
      .filter((policy) => policy instanceof CircuitBreaker)
      .values();
  }
}
