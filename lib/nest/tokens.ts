/** Shared by every installed copy, so that an application has one registry whichever copy asks. */
export const REGISTRY = Symbol.for('nestjs-bulwark:registry');
export const MODULE_OPTIONS = Symbol.for('nestjs-bulwark:module-options');

/** The injection token of a named circuit breaker. */
export function getCircuitBreakerToken(name: string): string {
  return `nestjs-bulwark:circuit-breaker:${name}`;
}

/** The injection token of a named policy. */
export function getPolicyToken(name: string): string {
  return `nestjs-bulwark:policy:${name}`;
}
