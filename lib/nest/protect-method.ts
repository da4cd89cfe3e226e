import 'reflect-metadata';
import { asyncAdapters } from '../core/async-iterable/async-iterable.js';
import type { CompiledPipeline } from '../core/compile.js';
import type { Work } from '../core/context.js';
import { disguise, protectFunction } from '../core/wrap.js';
import { observableAdapter } from '../rxjs/observable-adapter.js';
import type { PolicySpec } from './policy-spec.js';
import {
  type ProtectedMethod,
  protectedMethodOf,
  recordProtectedMethod,
} from './protected-methods.js';
import { registryOf, requestRegistry } from './registry-binding.js';

const ADAPTERS = [observableAdapter, ...asyncAdapters];

/** A method about to be decorated. */
export interface MethodSite {
  readonly target: object;
  readonly key: string | symbol;
  /** `OrdersService.charge`. */
  readonly place: string;
}

/**
 * The method under one more policy, outside those it has: decorators that stand on each other become one
 * pipeline, not wrappers in wrappers. It keeps the method's looks and every decorator's metadata.
 */
export function protectMethod(site: MethodSite, method: Work, spec: PolicySpec): Work {
  const inner = protectedMethodOf(method);
  const { original, specs } = inner ?? { original: method, specs: [] };
  requestRegistry(site.target);
  const details = { ...site, original, specs: [spec, ...specs] };
  const wrapper = recordProtectedMethod(wrap, details, inner);
  copyLooks(method, wrapper);
  return wrapper;
}

function wrap(record: ProtectedMethod): Work {
  const { target, key } = record;
  const returnType: unknown = Reflect.getMetadata('design:returntype', target, key);
  // Compilers write `undefined` for void, and for a type that nobody has written down.
  const declaresNothing =
    returnType === undefined && Reflect.hasOwnMetadata('design:returntype', target, key);
  const pipelineOf = (self: unknown): CompiledPipeline => {
    const registry = registryOf(self);
    return registry.pipelines[record.id] ?? registry.pipelineOf(record);
  };
  return protectFunction(record.original, pipelineOf, {
    adapters: ADAPTERS,
    returnType,
    declaresNothing,
  });
}

/** What decorators below and between ours have left on the method: routes, guards, documentation. */
function copyLooks(from: Work, to: Work): void {
  disguise(to, from);
  for (const key of Reflect.getOwnMetadataKeys(from)) {
    Reflect.defineMetadata(key, Reflect.getOwnMetadata(key, from), to);
  }
}
