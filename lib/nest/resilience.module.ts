import { type DynamicModule, Module, type Provider } from '@nestjs/common';
import { ModulesContainer } from '@nestjs/core';
import { asyncProviders } from './async-options.js';
import { CircuitBreakerRegistry } from './circuit-breaker-registry.js';
import { ResilienceConfigurator } from './configurator.js';
import { ResilienceCoreModule } from './core.module.js';
import { featureModule } from './features.js';
import { ResilienceHealthIndicator } from './health.js';
import { EventBinder } from './events/event-binder.js';
import { ResilienceEvents } from './events/resilience-events.js';
import { ResilienceInspector } from './inspector/inspector.js';
import { StartUpReport } from './inspector/start-up-report.js';
import type {
  ModuleVisibility,
  ResilienceModuleAsyncOptions,
  ResilienceModuleOptions,
} from './module-options.js';
import { readLateOptions, readModuleOptions } from './module-schema.js';
import type { NamedOptions } from './named-options.js';
import { namedProviders, publishConfigured } from './named-providers.js';
import { ResilienceRegistry } from './registry.js';
import { requireRoot } from './root.js';
import { MODULE_OPTIONS, REGISTRY } from './tokens.js';

const PUBLISHER = Symbol('nestjs-bulwark:publisher');
const ROOT_CHECK = Symbol('nestjs-bulwark:root-check');

/**
 * Resilience for a Nest application: `forRoot` or `forRootAsync` once, in the root module, and
 * `forFeature` wherever a feature brings circuit breakers, retries or policies of its own.
 *
 * @example
 * ResilienceModule.forRoot({
 *   circuitBreakers: { payments: { failureThreshold: 5, recoveryTimeout: '30s' } },
 * })
 */
@Module({
  providers: [
    {
      provide: ROOT_CHECK,
      inject: [ModulesContainer],
      useFactory: (modules: ModulesContainer): void => {
        requireRoot(modules, 'ResilienceModule, imported as it is,');
      },
    },
  ],
})
export class ResilienceModule {
  /**
   * Configures the application. Problems are reported at start-up, all in one ResilienceConfigError.
   * @throws ResilienceConfigError (at start-up)
   */
  static forRoot(options: ResilienceModuleOptions & ModuleVisibility = {}): DynamicModule {
    const provider = { provide: MODULE_OPTIONS, useValue: options };
    return root(
      ResilienceCoreModule.with([provider], readModuleOptions, ResilienceModule),
      options,
    );
  }

  /**
   * The same with options from other providers; names asked for by `@Inject...` need not be repeated.
   * @throws ResilienceConfigError for options of its own that are wrong; for those of the application at start-up
   */
  static forRootAsync(options: ResilienceModuleAsyncOptions): DynamicModule {
    const providers = asyncProviders(options);
    return root(
      ResilienceCoreModule.with(providers, readLateOptions, ResilienceModule, options.imports),
      options,
    );
  }

  /**
   * Adds named parts from a feature module; they belong to the application like those of the root.
   * @throws ResilienceConfigError (at start-up)
   */
  static forFeature(options: NamedOptions): DynamicModule {
    return featureModule(options);
  }
}

function root(
  core: DynamicModule,
  options: (ResilienceModuleOptions & ModuleVisibility) | null,
): DynamicModule {
  const own: (Provider & { provide: unknown })[] = [
    {
      provide: CircuitBreakerRegistry,
      inject: [REGISTRY],
      useFactory: (registry: ResilienceRegistry) => new CircuitBreakerRegistry(registry),
    },
    {
      provide: ResilienceConfigurator,
      inject: [REGISTRY],
      useFactory: (registry: ResilienceRegistry) => new ResilienceConfigurator(registry),
    },
    {
      provide: ResilienceHealthIndicator,
      inject: [CircuitBreakerRegistry],
      useFactory: (breakers: CircuitBreakerRegistry) => new ResilienceHealthIndicator(breakers),
    },
    {
      provide: ResilienceEvents,
      inject: [REGISTRY],
      useFactory: ({ events, lifetime }: ResilienceRegistry) =>
        new ResilienceEvents(events, lifetime),
    },
    {
      provide: EventBinder,
      inject: [REGISTRY, ModulesContainer],
      useFactory: ({ events, runtime }: ResilienceRegistry, modules: ModulesContainer) =>
        new EventBinder(events, modules, runtime),
    },
    {
      provide: ResilienceInspector,
      inject: [REGISTRY, ModulesContainer],
      useFactory: (registry: ResilienceRegistry, modules: ModulesContainer) =>
        new ResilienceInspector(registry, modules),
    },
    {
      provide: StartUpReport,
      inject: [ResilienceInspector, MODULE_OPTIONS],
      useFactory: (inspector: ResilienceInspector, given: ResilienceModuleOptions) =>
        new StartUpReport(inspector, given),
    },
    {
      provide: PUBLISHER,
      inject: [REGISTRY, ModulesContainer],
      useFactory: (registry: ResilienceRegistry, modules: ModulesContainer) => {
        publishConfigured(registry, modules, ResilienceModule);
      },
    },
  ];
  return {
    module: ResilienceModule,
    global: options?.isGlobal !== false,
    imports: [core],
    // Read when Nest scans: by then every class has been evaluated, and its names are known.
    get providers() {
      return [...own, ...namedProviders(options)];
    },
    get exports() {
      return [...own, ...namedProviders(options)].map(({ provide }) => provide) as never[];
    },
  };
}
