import type { OnModuleInit } from '@nestjs/common';
import { Brand } from '../core/brand.js';
import { ResilienceConfigError } from '../core/errors.js';
import { OPTIONS_OF_A_REQUEST } from './messages.js';
import type { ResilienceRegistry } from './registry.js';

/** Whether it is a handle, of whichever installed copy: a testing module may give a mock in its place. */
export function isRegistryHandle(value: object): value is RegistryHandle {
  return handleBrand.isOn(value);
}

/**
 * Gives an application's registry to those who may be there before it: the options that it is made of
 * may come from instances that are to have it.
 */
export class RegistryHandle implements OnModuleInit {
  readonly #waiting: ((registry: ResilienceRegistry) => void)[] = [];
  #registry: ResilienceRegistry | undefined;

  /** Calls back with the registry: now, or once it has been made. */
  whenFilled(use: (registry: ResilienceRegistry) => void): void {
    if (this.#registry === undefined) this.#waiting.push(use);
    else use(this.#registry);
  }

  fill(registry: ResilienceRegistry): void {
    this.#registry = registry;
    for (const use of this.#waiting.splice(0)) use(registry);
  }

  /** @throws ResilienceConfigError where the options, and so the registry, are left for a request to make */
  onModuleInit(): void {
    if (this.#registry === undefined) throw new ResilienceConfigError([OPTIONS_OF_A_REQUEST]);
  }
}

const handleBrand = new Brand<RegistryHandle>('is-registry-handle');
handleBrand.put(RegistryHandle);
