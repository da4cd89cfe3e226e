import type { ModulesContainer } from '@nestjs/core';
import { ResilienceConfigError } from '../core/errors.js';
import { withoutRoot } from './messages.js';
import { REGISTRY } from './tokens.js';

/**
 * @param what is of no use without a root module
 * @throws ResilienceConfigError
 */
export function requireRoot(modules: ModulesContainer, what: string): void {
  if ([...modules.values()].some(({ providers }) => providers.has(REGISTRY))) return;
  throw new ResilienceConfigError([withoutRoot(what)]);
}
