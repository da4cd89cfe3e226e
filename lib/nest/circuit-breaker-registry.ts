import { CircuitBreaker } from '../core/circuit-breaker/circuit-breaker.js';
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
    return this.registry.has('circuitBreakers', name);
  }

  /** The configured names. */
  get names(): string[] {
    return this.registry.names('circuitBreakers');
  }

  [Symbol.iterator](): IterableIterator<CircuitBreaker> {
    return this.registry
      .policies()
      .filter((policy) => policy instanceof CircuitBreaker)
      .values();
  }
}
