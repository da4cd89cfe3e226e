import { DEADLINE_HEADER } from '../core/deadline-headers.js';
import type { RuntimeOptions } from '../core/runtime.js';
import {
  type Field,
  type Issues,
  type Rule,
  type Schema,
  boolean,
  callback,
  duration,
  either,
  integer,
  isRecord,
  nested,
  readOptions,
  text,
} from '../core/validation.js';
import { timingsField } from '../core/timings.js';
import type { ModuleVisibility, ResilienceModuleOptions } from './module-options.js';
import type { DefaultOptions, NamedGroup, NamedOptions } from './named-options.js';

/** The HTTP options in force. */
export interface ResolvedHttpOptions {
  readonly mapErrors: boolean;
  readonly deadlineHeader: string | false;
  /** Milliseconds. */
  readonly maxDeadline: number;
}

type Given = Required<ResilienceModuleOptions & ModuleVisibility>;
export type ResolvedModuleOptions = ResilienceModuleOptions & {
  readonly http: ResolvedHttpOptions;
  readonly events: { readonly history: number };
};

const httpSchema: Schema<ResolvedHttpOptions> = {
  mapErrors: { rule: boolean(), default: true },
  deadlineHeader: { rule: either(text(), off()), default: DEADLINE_HEADER },
  maxDeadline: { rule: duration(1), default: 60_000 },
};

const eventsSchema: Schema<{ readonly history: number }> = {
  history: { rule: integer(0, 10_000), default: 0 },
};

/** What stands in these is checked where it is made. */
const anyObject: Field<object | undefined> = {
  rule: (value) => (isRecord(value) ? { value } : { problem: 'must be an object' }),
  default: undefined,
};
const defaultsSchema: Schema<Record<keyof DefaultOptions, unknown>> = {
  timings: timingsField,
  circuitBreaker: anyObject,
  retry: anyObject,
  bulkhead: anyObject,
  rateLimit: anyObject,
  adaptiveLimit: anyObject,
  clientThrottle: anyObject,
  hedge: anyObject,
};
const runtimeSchema: Schema<Required<RuntimeOptions>> = {
  clock: having('now', 'wallTime', 'setTimeout', 'clearTimeout', 'sleepSync'),
  random: { rule: callback(), default: undefined as never },
  logger: having('error', 'warn'),
  lifetime: having('onEnd'),
  events: having('emit', 'listen'),
};

const namedSchema: Schema<Record<NamedGroup, unknown>> = {
  circuitBreakers: anyObject,
  retries: anyObject,
  bulkheads: anyObject,
  rateLimits: anyObject,
  adaptiveLimits: anyObject,
  throttles: anyObject,
  hedges: anyObject,
  budgets: anyObject,
  policies: anyObject,
};

const moduleSchema: Schema<Record<keyof Given, unknown>> = {
  ...namedSchema,
  defaults: anyObject,
  http: { rule: nested(httpSchema), default: readHttp({}) },
  runtime: { rule: nested(runtimeSchema), default: undefined },
  events: { rule: nested(eventsSchema), default: { history: 0 } },
  strict: { rule: boolean(), default: false },
  isGlobal: { rule: boolean(), default: true },
};

const forTheRoot = refused('must be given to forRoot(), since it is for the whole application');
const featureSchema: Schema<Record<keyof Given, unknown>> = {
  ...namedSchema,
  defaults: forTheRoot,
  http: forTheRoot,
  runtime: forTheRoot,
  events: forTheRoot,
  strict: forTheRoot,
  isGlobal: forTheRoot,
};

/** Checks the outer shape of what a feature module adds, as `readModuleOptions` does. */
export function readFeatureOptions(given: unknown, issues: Issues): NamedOptions {
  return readGiven(featureSchema, given, 'forFeature()', issues) as NamedOptions;
}

/** Checks the outer shape of what an application gives; what stands inside is checked where it is made. */
export function readModuleOptions(given: unknown, issues: Issues): ResolvedModuleOptions {
  return readBy(moduleSchema, given, issues);
}

/** The same of what `forRootAsync` was given by a factory: too late for who may inject the providers. */
export function readLateOptions(given: unknown, issues: Issues): ResolvedModuleOptions {
  const isGlobal = refused('must be given to forRootAsync() itself');
  return readBy({ ...moduleSchema, isGlobal }, given, issues);
}

function readBy(
  schema: typeof moduleSchema,
  given: unknown,
  issues: Issues,
): ResolvedModuleOptions {
  const options = readGiven(schema, given, 'options', issues);
  const defaults = readOptions(defaultsSchema, options.defaults, 'options.defaults', issues);
  return { ...options, defaults } as ResolvedModuleOptions;
}

/** The HTTP options of an application whose options may still be wrong. */
export function readHttp(given: unknown): ResolvedHttpOptions {
  const outcome = nested(httpSchema)(given ?? {});
  return 'value' in outcome ? outcome.value : readHttp({});
}

/** Options that have to be there: `undefined` is no object of options either. */
export function readGiven<T extends object>(
  schema: Schema<T>,
  given: unknown,
  path: string,
  issues: Issues,
): T {
  if (given === undefined) issues.add(path, 'must be an object of options', given);
  return readOptions(schema, given, path, issues);
}

/** An option that belongs somewhere else. */
function refused(problem: string): Field<undefined> {
  return { rule: () => ({ problem }), default: undefined };
}

function off(): Rule<false> {
  return (value) => (value === false ? { value } : { problem: 'must be false' });
}

function having<T>(...methods: string[]): Field<T> {
  const rule: Rule<unknown> = (value) => {
    const missing = methods.filter(
      (method) => typeof (value as Record<string, unknown> | null)?.[method] !== 'function',
    );
    return missing.length === 0
      ? { value }
      : { problem: `must have the methods ${methods.join(', ')}; missing: ${missing.join(', ')}` };
  };
  return { rule: rule as Field<T>['rule'], default: undefined as never };
}
