import type { OnApplicationShutdown, OnModuleInit } from '@nestjs/common';
import type { ModulesContainer } from '@nestjs/core';
import type { InstanceWrapper } from '@nestjs/core/injector/instance-wrapper.js';
import type { EventHub, ResilienceEvent } from '../../core/events.js';
import { type Runtime, tell } from '../../core/runtime.js';
import { wrappersIn } from '../application-classes.js';
import { type EventSubscription, subscriptionsIn, wants } from './subscriptions.js';

/** Subscribes the `@OnResilienceEvent` methods of an application, until it shuts down. */
export class EventBinder implements OnModuleInit, OnApplicationShutdown {
  readonly #leaves: (() => void)[] = [];

  constructor(
    private readonly hub: EventHub,
    private readonly modules: ModulesContainer,
    private readonly runtime: Runtime,
  ) {}

  onModuleInit(): void {
    const bound = new Set<unknown>();
    for (const wrapper of wrappersIn(this.modules)) {
      const instance: unknown = wrapper.instance;
      if (typeof instance !== 'object' || instance === null || bound.has(instance)) continue;
      bound.add(instance);
      for (const [key, subscription] of subscriptionsIn(Object.getPrototypeOf(instance))) {
        this.#bind(wrapper, instance as Listener, key, subscription);
      }
    }
  }

  onApplicationShutdown(): void {
    for (const leave of this.#leaves.splice(0)) leave();
  }

  #bind(
    wrapper: InstanceWrapper,
    instance: Listener,
    key: string | symbol,
    subscription: EventSubscription,
  ): void {
    const place = `${instance.constructor.name}.${String(key)}`;
    const { logger } = this.runtime;
    if (!wrapper.isDependencyTreeStatic() || wrapper.isTransient) {
      logger.warn(
        `${place}: @OnResilienceEvent() is not called, since its class has no instance that lives as ` +
          'long as the application; move it to a provider of default scope',
      );
      return;
    }
    const report = (thrown: unknown): void =>
      logger.error(`${place}: the listener threw; nothing else is affected`, thrown);
    const listener = (event: ResilienceEvent): void => {
      if (wants(subscription, event)) tell(() => instance[key]?.(event), report);
    };
    this.#leaves.push(this.hub.listen(listener));
  }
}

type Listener = Record<string | symbol, ((event: ResilienceEvent) => unknown) | undefined>;
