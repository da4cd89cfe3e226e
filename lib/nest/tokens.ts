import { processWide } from '../core/process-wide.js';

/** Shared by every installed copy, so that an application has one registry whichever copy asks. */
export const REGISTRY = Symbol.for('nestjs-bulwark:registry');
/** What decorated instances ask for; see `RegistryHandle`. */
export const REGISTRY_HANDLE = Symbol.for('nestjs-bulwark:registry-handle');
export const MODULE_OPTIONS = Symbol.for('nestjs-bulwark:module-options');

/** What can be injected by its name. */
export type InjectedGroup = 'circuitBreakers' | 'policies';

export interface NamedToken {
  readonly group: InjectedGroup;
  readonly name: string;
  readonly token: string;
}

const PREFIXES: Readonly<Record<InjectedGroup, string>> = {
  circuitBreakers: 'nestjs-bulwark:circuit-breaker:',
  policies: 'nestjs-bulwark:policy:',
};
export const INJECTED_GROUPS = Object.keys(PREFIXES) as InjectedGroup[];

const asked = processWide('asked-names', () => new Map<string, NamedToken>());

export function tokenOf(group: InjectedGroup, name: string): string {
  return PREFIXES[group] + name;
}

/** The injection token of a named circuit breaker. */
export function getCircuitBreakerToken(name: string): string {
  return askFor('circuitBreakers', name);
}

/** The injection token of a named policy. */
export function getPolicyToken(name: string): string {
  return askFor('policies', name);
}

/** Every name asked for in this process, one entry each: an application provides those it knows. */
export function everyAskedName(): readonly NamedToken[] {
  return [...asked.values()];
}

/** What a token made here stands for. */
export function nameBehind(token: unknown): NamedToken | undefined {
  return asked.get(token as string);
}

/** Modules name their tokens when they are evaluated; that is what lets `forRootAsync` provide them. */
function askFor(group: InjectedGroup, name: string): string {
  const token = tokenOf(group, name);
  asked.set(token, { group, name, token });
  return token;
}
