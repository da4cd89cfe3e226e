import {
  type BeforeApplicationShutdown,
  type DynamicModule,
  Global,
  Inject,
  Module,
  type OnApplicationShutdown,
  type Provider,
  type Type,
} from '@nestjs/common';
import { ApplicationConfig, HttpAdapterHost, ModulesContainer } from '@nestjs/core';
import { addExceptionFilter } from './exception-filter.js';
import { InstanceBinder } from './instance-binder.js';
import type { readModuleOptions } from './module-schema.js';
import { handleFor } from './options-circle.js';
import type { ResilienceRegistry } from './registry.js';
import { RegistryHandle } from './registry-handle.js';
import { startRegistry } from './start-up.js';
import { MODULE_OPTIONS, REGISTRY, REGISTRY_HANDLE } from './tokens.js';

const FILTER = Symbol('nestjs-bulwark:exception-filter');

/** Holds one application's registry; global, since every decorated class asks for it. */
@Global()
@Module({})
export class ResilienceCoreModule implements BeforeApplicationShutdown, OnApplicationShutdown {
  constructor(@Inject(REGISTRY) private readonly registry: ResilienceRegistry) {}

  /** Nest waits next until its servers have answered their requests. */
  beforeApplicationShutdown(): void {
    this.registry.endWaits();
  }

  onApplicationShutdown(): void {
    this.registry.close();
  }

  /**
   * @param options the provider of the options, and what it takes
   * @param root the module that users import
   */
  static with(
    options: Provider[],
    read: typeof readModuleOptions,
    root: Type,
    imports: DynamicModule['imports'] = [],
  ): DynamicModule {
    const classes = { core: ResilienceCoreModule, root };
    return {
      module: ResilienceCoreModule,
      imports,
      providers: [
        ...options,
        HANDLE,
        HANDLE_FOR_INSTANCES,
        {
          provide: REGISTRY,
          inject: [MODULE_OPTIONS, ModulesContainer, RegistryHandle],
          useFactory: (given: unknown, modules: ModulesContainer, handle: RegistryHandle) => {
            const registry = startRegistry((issues) => read(given, issues), modules, classes);
            handle.fill(registry);
            return registry;
          },
        },
        INSTANCE_BINDER,
        EXCEPTION_FILTER,
      ],
      exports: [REGISTRY, REGISTRY_HANDLE, MODULE_OPTIONS],
    };
  }
}

const HANDLE: Provider = { provide: RegistryHandle, useFactory: () => new RegistryHandle() };
const HANDLE_FOR_INSTANCES: Provider = {
  provide: REGISTRY_HANDLE,
  inject: [RegistryHandle, ModulesContainer],
  useFactory: handleFor,
};
const INSTANCE_BINDER: Provider = {
  provide: InstanceBinder,
  inject: [REGISTRY, ModulesContainer, ApplicationConfig],
  useFactory: (
    registry: ResilienceRegistry,
    modules: ModulesContainer,
    config: ApplicationConfig,
  ) => new InstanceBinder(registry, modules, config),
};
const EXCEPTION_FILTER: Provider = {
  provide: FILTER,
  inject: [REGISTRY, HttpAdapterHost, ApplicationConfig],
  useFactory: addExceptionFilter,
};
