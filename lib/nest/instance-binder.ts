import type { OnModuleInit } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';
import { Issues } from '../core/validation.js';
import { wrappersIn } from './application-classes.js';
import { forgetUnknown } from './named-providers.js';
import { protectedMethodsOf } from './protected-methods.js';
import { type ResilienceRegistry, collect } from './registry.js';
import { bindRegistry, wantsRegistry } from './registry-binding.js';

/** Reaches the instances that Nest injects no properties into: those of `useFactory` and `useValue`. */
export class InstanceBinder implements OnModuleInit {
  constructor(
    private readonly registry: ResilienceRegistry,
    private readonly modules: ModulesContainer,
  ) {}

  /** @throws ResilienceConfigError for what their decorators ask and nobody configured */
  onModuleInit(): void {
    const issues = new Issues();
    forgetUnknown(this.registry, this.modules);
    for (const wrapper of wrappersIn(this.modules)) {
      if (!wrapper.isDependencyTreeStatic()) continue;
      const instance: unknown = wrapper.instance;
      if (typeof instance !== 'object' || instance === null || !wantsRegistry(instance)) continue;
      bindRegistry(instance, this.registry);
      for (const method of protectedMethodsOf(instance.constructor)) {
        collect(issues, () => this.registry.pipelineOf(method));
      }
    }
    issues.throwIfAny();
  }
}
