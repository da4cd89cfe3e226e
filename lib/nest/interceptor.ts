import {
  type CallHandler,
  type ExecutionContext,
  Injectable,
  type NestInterceptor,
  type Type,
} from '@nestjs/common';
import { Observable } from 'rxjs';
import type { Work } from '../core/context.js';
import { Policy } from '../core/policy.js';
import { show } from '../core/validation.js';
import type { PolicyOptions } from './policy-spec.js';
import { protectMethod } from './protect-method.js';
import { registryOf } from './registry-binding.js';
import { requestDeadline, withinDeadline } from './request-deadline.js';

/**
 * An interceptor class that runs handlers under a policy: on a route, a controller, a gateway or a
 * resolver, or for the whole application as APP_INTERCEPTOR. A retry calls the handler again. The
 * deadline header (`x-request-timeout-ms`) of an HTTP or GraphQL request becomes the deadline of the call.
 *
 * @param policy the name of a policy of the module, its options, or a policy made by hand
 * @example
 * @UseInterceptors(ResilienceInterceptor('catalog'))
 * @throws ResilienceConfigError (at start-up) for an unknown name or bad options
 */
export function ResilienceInterceptor(
  policy: string | PolicyOptions | Policy,
): Type<NestInterceptor> {
  @Injectable()
  class PolicyInterceptor implements NestInterceptor {
    intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
      const registry = registryOf(this);
      const deadline = requestDeadline(context, registry.http, registry.runtime.clock);
      if (deadline === undefined) return this.handle(next);
      return withinDeadline(deadline, registry, () => this.handle(next));
    }

    handle(next: CallHandler): Observable<unknown> {
      return next.handle();
    }
  }
  protectHandler(PolicyInterceptor.prototype, policy);
  return PolicyInterceptor;
}

/** `handle` is a protected method like any other: the same binding, start-up checks and pipeline. */
function protectHandler(
  target: { handle(next: CallHandler): Observable<unknown> },
  policy: string | PolicyOptions | Policy,
): void {
  Reflect.defineMetadata('design:returntype', Observable, target, 'handle');
  const site = { target, key: 'handle', place: `ResilienceInterceptor(${nameOf(policy)})` };
  const { handle } = target as { handle: Work };
  const value = protectMethod(site, handle, { part: 'policy', given: policy });
  Object.defineProperty(target, 'handle', { value });
}

function nameOf(policy: string | PolicyOptions | Policy): string {
  if (typeof policy === 'string') return policy;
  if (policy instanceof Policy) return policy.name;
  const parts: unknown[] = Array.isArray(policy) ? policy : [policy];
  return parts.flatMap(keysOf).join('+');
}

/** What is no object is shown as it is, for the start-up to refuse. */
function keysOf(part: unknown): string[] {
  return typeof part === 'object' && part !== null ? Object.keys(part) : [show(part)];
}
