import type {
  InjectionToken,
  ModuleMetadata,
  OptionalFactoryDependency,
  Type,
} from '@nestjs/common';
import type { Duration } from '../core/duration.js';
import type { RuntimeOptions } from '../core/runtime.js';
import type { DefaultOptions, NamedOptions } from './named-options.js';

/** How calls and failures go over HTTP. */
export interface HttpOptions {
  /** Answer an unhandled ResilienceError with 503, 429 or 504 and `Retry-After`. Default true. */
  readonly mapErrors?: boolean | undefined;
  /**
   * The request header in which a caller says how many milliseconds it will wait; the interceptor makes
   * it the call's deadline. `false` reads none. Default `'x-request-timeout-ms'`.
   */
  readonly deadlineHeader?: string | false | undefined;
  /** A longer deadline than this is cut to it. Default 60 s. */
  readonly maxDeadline?: Duration | undefined;
}

/** What is kept of what the policies do. */
export interface EventOptions {
  /** How many events of each policy `ResilienceEvents.recent()` gives. Default 0: none is kept. */
  readonly history?: number | undefined;
}

/** What an application configures. */
export interface ResilienceModuleOptions extends NamedOptions {
  /** Options under everything made in this application, decorators included; what is written at the place wins. Default: those of the library. */
  readonly defaults?: DefaultOptions | undefined;
  /** How failures are answered and deadlines are read over HTTP. Default: both, deadlines of at most 60 s. */
  readonly http?: HttpOptions | undefined;
  /** How many events are kept to look back at. Default: none. */
  readonly events?: EventOptions | undefined;
  /** Makes every warning of the start-up report an error. Default false. */
  readonly strict?: boolean | undefined;
  /** Clock, random and logger of everything made in this application. */
  readonly runtime?: RuntimeOptions | undefined;
}

/** Who may inject what the module provides. */
export interface ModuleVisibility {
  /** Whether every module may inject its providers without importing it. Default true. */
  readonly isGlobal?: boolean | undefined;
}

/** Implemented by an options class for `useClass` and `useExisting`. */
export interface ResilienceOptionsFactory {
  /** Called once, at start-up; the application waits for a promise. */
  createResilienceOptions(): ResilienceModuleOptions | Promise<ResilienceModuleOptions>;
}

/** Options that come from other providers. Exactly one of the three `use...` is to be given. */
export interface ResilienceModuleAsyncOptions
  extends Pick<ModuleMetadata, 'imports'>, ModuleVisibility {
  /** Tokens of the providers that `useFactory` gets, in the order of its parameters. Default: none. */
  readonly inject?: (InjectionToken | OptionalFactoryDependency)[] | undefined;
  /** Gives the options, or a promise of them; called once, at start-up. */
  // `any`: the arguments are whatever `inject` names.
  readonly useFactory?:
    | ((
        // eslint-disable-next-line @typescript-eslint/no-explicit-any
        ...args: any[]
      ) => ResilienceModuleOptions | Promise<ResilienceModuleOptions>)
    | undefined;
  /** A class to be made for this, with `createResilienceOptions()`. */
  readonly useClass?: Type<ResilienceOptionsFactory> | undefined;
  /** The token of a provider that the application has, with `createResilienceOptions()`. */
  readonly useExisting?: InjectionToken | undefined;
}
