import type { OnApplicationShutdown, OnModuleInit, Type } from '@nestjs/common';
import type { ApplicationConfig, ModulesContainer } from '@nestjs/core';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import { isThenable } from '../core/thenable.js';
import { Issues } from '../core/validation.js';
import { classesIn, wrappersIn } from './application-classes.js';
import { checkClasses } from './check-classes.js';
import { enhancersOf, globalEnhancersOf } from './enhancers.js';
import { checkSubscriptions } from './events/check-subscriptions.js';
import { forgetUnknown } from './named-providers.js';
import { resolveMethods } from './protected-classes.js';
import { protectedMethodsOf } from './protected-methods.js';
import type { ResilienceRegistry } from './registry.js';
import { bindRegistry, wantsRegistry } from './registry-binding.js';
import { REGISTRY } from './tokens.js';

/** Reaches what Nest injects no properties into: instances of `useFactory`, `useValue`, `@UseGuards(new ...)`, and classes. */
export class InstanceBinder implements OnModuleInit, OnApplicationShutdown {
  constructor(
    private readonly registry: ResilienceRegistry,
    private readonly modules: ModulesContainer,
    private readonly config: ApplicationConfig,
  ) {}

  /** @throws ResilienceConfigError for what decorators ask of the application and it does not have */
  onModuleInit(): void {
    const issues = new Issues();
    const prototypes = new Set([...classesIn(this.modules)].map((type): unknown => type.prototype));
    forgetUnknown(this.registry, this.modules);
    // Once more: of middleware, which Nest registers last, nobody knew when the registry was made.
    checkClasses(this.modules, this.registry, issues);
    for (const wrapper of wrappersIn(this.modules)) {
      if (makesMore(wrapper)) this.#bindWhatItMakes(wrapper);
      for (const instance of instancesOf(wrapper)) {
        if (typeof instance !== 'object' || instance === null) continue;
        prototypes.add(Object.getPrototypeOf(instance));
        for (const each of listed(instance)) this.#bindAndCheck(each, issues);
      }
    }
    const enhancers = [...[...prototypes].flatMap(enhancersOf), ...globalEnhancersOf(this.config)];
    for (const each of enhancers) this.#bindAndCheck(each, issues);
    // Only now is every circuit breaker known that they may name.
    for (const each of prototypes) checkSubscriptions(each, this.registry, issues);
    issues.throwIfAny();
    for (const type of this.#withStaticMethods()) bindRegistry(type, this.registry);
  }

  /** Classes outlive the application: what comes later must not run under a registry that has been closed. */
  onApplicationShutdown(): void {
    for (const type of this.#withStaticMethods()) {
      const bound: unknown = Object.getOwnPropertyDescriptor(type, REGISTRY)?.value;
      if (bound === this.registry) Reflect.deleteProperty(type, REGISTRY);
    }
  }

  #withStaticMethods(): Type[] {
    return [...classesIn(this.modules)].filter((type) => protectedMethodsOf(type).length > 0);
  }

  #bindAndCheck(instance: unknown, issues: Issues): void {
    if (!this.#bind(instance)) return;
    resolveMethods(Object.getPrototypeOf(instance), this.registry, issues);
  }

  #bind(instance: unknown): instance is object {
    if (typeof instance !== 'object' || instance === null) return false;
    if (!wantsRegistry(instance, this.registry)) return false;
    bindRegistry(instance, this.registry);
    return true;
  }

  #bindWhatItMakes(wrapper: InstanceWrapper): void {
    const factory = wrapper.metatype as (...args: unknown[]) => unknown;
    const bound = (made: unknown): unknown => {
      for (const each of listed(made)) this.#bind(each);
      return made;
    };
    wrapper.metatype = (...args: unknown[]) => {
      const made = factory(...args);
      return isThenable(made) ? made.then(bound) : bound(made);
    };
  }
}

/** Whether it is a factory that Nest calls again: for each request, or for each who injects it. */
function makesMore(wrapper: InstanceWrapper): boolean {
  const factory = typeof wrapper.metatype === 'function' && Array.isArray(wrapper.inject);
  return factory && (wrapper.isTransient || !wrapper.isDependencyTreeStatic());
}

/** A provider may be a list of instances. */
function listed(made: unknown): readonly unknown[] {
  return Array.isArray(made) ? made : [made];
}

function instancesOf(wrapper: InstanceWrapper): unknown[] {
  if (!wrapper.isDependencyTreeStatic()) return [];
  if (!wrapper.isTransient) return [wrapper.instance];
  return wrapper.getStaticTransientInstances().map((host) => host?.instance as unknown);
}
