import type {
  InjectionToken,
  ModuleMetadata,
  OptionalFactoryDependency,
  Type,
} from '@nestjs/common';
import type { RuntimeOptions } from '../core/runtime.js';
import { type Issues, suggest } from '../core/validation.js';
import type { DefaultOptions, NamedOptions } from './named-options.js';

/** How failures of ours become HTTP responses. */
export interface HttpOptions {
  /** Answer an unhandled ResilienceError with 503, 429 or 504 and `Retry-After`. Default true. */
  readonly mapErrors?: boolean | undefined;
}

/** What an application configures. */
export interface ResilienceModuleOptions extends NamedOptions {
  readonly defaults?: DefaultOptions | undefined;
  readonly http?: HttpOptions | undefined;
  /** Clock, random and logger of everything made in this application. */
  readonly runtime?: RuntimeOptions | undefined;
}

export interface ModuleVisibility {
  /** Whether every module may inject its providers without importing it. Default true. */
  readonly isGlobal?: boolean | undefined;
}

/** Implemented by an options class for `useClass` and `useExisting`. */
export interface ResilienceOptionsFactory {
  createResilienceOptions(): ResilienceModuleOptions | Promise<ResilienceModuleOptions>;
}

/** Options that come from other providers. Exactly one of the three `use...` is to be given. */
export interface ResilienceModuleAsyncOptions
  extends Pick<ModuleMetadata, 'imports'>, ModuleVisibility {
  readonly inject?: (InjectionToken | OptionalFactoryDependency)[];
  // `any`: the arguments are whatever `inject` names.
  readonly useFactory?: (
    // eslint-disable-next-line @typescript-eslint/no-explicit-any
    ...args: any[]
  ) => ResilienceModuleOptions | Promise<ResilienceModuleOptions>;
  readonly useClass?: Type<ResilienceOptionsFactory>;
  readonly useExisting?: InjectionToken;
}

const KNOWN: Readonly<Record<keyof ResilienceModuleOptions | 'isGlobal', 'object' | 'boolean'>> = {
  circuitBreakers: 'object',
  retries: 'object',
  budgets: 'object',
  policies: 'object',
  defaults: 'object',
  http: 'object',
  runtime: 'object',
  isGlobal: 'boolean',
};
const DEFAULTS_KNOWN = ['circuitBreaker', 'retry'];

/** Checks the outer shape; what stands inside is checked where it is made. */
export function checkModuleOptions(options: unknown, issues: Issues): ResilienceModuleOptions {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    issues.add('ResilienceModule options', 'must be an object', options);
    return {};
  }
  checkKeys(options, Object.keys(KNOWN), 'options', issues);
  const sound: Record<string, unknown> = {};
  for (const [key, type] of Object.entries(KNOWN)) {
    const value = (options as Record<string, unknown>)[key];
    if (value === undefined) continue;
    if (typeof value === type && value !== null && !Array.isArray(value)) sound[key] = value;
    else
      issues.add(
        `options.${key}`,
        `must be ${type === 'object' ? 'an object' : 'true or false'}`,
        value,
      );
  }
  const checked = sound as ResilienceModuleOptions;
  checkKeys(checked.defaults ?? {}, DEFAULTS_KNOWN, 'options.defaults', issues);
  checkHttp(checked.http, issues);
  checkRuntime(checked.runtime, issues);
  return checked;
}

function checkKeys(options: object, known: readonly string[], path: string, issues: Issues): void {
  for (const [key, value] of Object.entries(options)) {
    if (value !== undefined && !known.includes(key)) {
      issues.list.push(`${path}.${key} is not a known option${suggest(key, known)}`);
    }
  }
}

function checkHttp(http: HttpOptions | undefined, issues: Issues): void {
  checkKeys(http ?? {}, ['mapErrors'], 'options.http', issues);
  const { mapErrors } = http ?? {};
  if (mapErrors !== undefined && typeof mapErrors !== 'boolean') {
    issues.add('options.http.mapErrors', 'must be true or false', mapErrors);
  }
}

function checkRuntime(runtime: RuntimeOptions | undefined, issues: Issues): void {
  const { clock, random, logger } = runtime ?? {};
  checkKeys(runtime ?? {}, ['clock', 'random', 'logger', 'lifetime'], 'options.runtime', issues);
  if (clock !== undefined)
    checkMethods(clock, 'clock', ['now', 'wallTime', 'setTimeout', 'clearTimeout'], issues);
  if (logger !== undefined) checkMethods(logger, 'logger', ['error', 'warn'], issues);
  if (random !== undefined && typeof random !== 'function') {
    issues.add('options.runtime.random', 'must be a function', random);
  }
}

function checkMethods(
  part: unknown,
  name: string,
  methods: readonly string[],
  issues: Issues,
): void {
  const missing = methods.filter(
    (method) => typeof (part as Record<string, unknown> | null)?.[method] !== 'function',
  );
  if (missing.length > 0) {
    issues.list.push(
      `options.runtime.${name} must have the methods ${methods.join(', ')}; missing: ${missing.join(', ')}`,
    );
  }
}
