import { ResilienceRegistry } from './registry.js';

let registry: ResilienceRegistry | undefined;

/** Shared by instances that no application made: `new Service()` in a unit test or a script. */
export function defaultRegistry(): ResilienceRegistry {
  return (registry ??= new ResilienceRegistry({ lenient: true }));
}

/** Forgets every breaker and retry of the default registry, so that one test does not touch the next. */
export function resetDefaultRegistry(): void {
  registry?.close();
  registry = undefined;
}
