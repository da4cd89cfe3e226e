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
import type { PolicyOptions } from './policy-spec.js';
import { protectMethod } from './protect-method.js';

/**
 * An interceptor class that runs handlers under a policy: on a route, a controller, a gateway or a
 * resolver, or for the whole application as APP_INTERCEPTOR. A retry calls the handler again.
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
    intercept(_context: ExecutionContext, next: CallHandler): Observable<unknown> {
      return next.handle();
    }
  }
  const target = PolicyInterceptor.prototype;
  // It is a protected method like any other: the same binding, start-up checks and pipeline.
  Reflect.defineMetadata('design:returntype', Observable, target, 'intercept');
  const place = `ResilienceInterceptor(${nameOf(policy)})`;
  const { intercept } = target as { intercept: Work };
  Object.defineProperty(target, 'intercept', {
    value: protectMethod({ target, key: 'intercept', place }, intercept, {
      part: 'policy',
      given: policy,
    }),
  });
  return PolicyInterceptor;
}

function nameOf(policy: string | PolicyOptions | Policy): string {
  if (typeof policy === 'string') return policy;
  if (policy instanceof Policy) return policy.name;
  return (Array.isArray(policy) ? policy.flatMap(Object.keys) : Object.keys(policy)).join('+');
}
