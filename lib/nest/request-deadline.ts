import type { ExecutionContext } from '@nestjs/common';
import { Observable } from 'rxjs';
import { CancelScope } from '../core/cancellation.js';
import { beginCall, runInside } from '../core/context.js';
import { CallerTimeoutError } from '../core/errors.js';
import type { Runtime } from '../core/runtime.js';
import type { ResolvedHttpOptions } from './module-schema.js';

const MILLISECONDS = /^\d{1,9}$/;

/** How long the caller of an HTTP request says it will wait; `undefined` where it says nothing usable. */
export function requestDeadline(
  context: ExecutionContext,
  { deadlineHeader, maxDeadline }: ResolvedHttpOptions,
): number | undefined {
  if (deadlineHeader === false || context.getType() !== 'http') return undefined;
  const { headers } = context.switchToHttp().getRequest<{ headers?: Record<string, unknown> }>();
  const value = headers?.[deadlineHeader.toLowerCase()];
  if (typeof value !== 'string' || !MILLISECONDS.test(value) || Number(value) === 0)
    return undefined;
  return Math.min(Number(value), maxDeadline);
}

/** The stream under a deadline: after `limit` ms what runs in it is aborted with a TimeoutError, which breakers ignore. */
export function withinDeadline<T>(
  limit: number,
  { clock, lifetime }: Runtime,
  open: () => Observable<T>,
): Observable<T> {
  return new Observable((subscriber) => {
    const enclosing = beginCall();
    const scope = new CancelScope(enclosing.cancellation);
    const call = enclosing.within(scope, { clock, at: clock.now() + limit });
    const timer = clock.setTimeout(() => scope.abort(new CallerTimeoutError(limit)), limit);
    const leave = lifetime?.onEnd(() => clock.clearTimeout(timer));
    const subscription = runInside(call, () => open().subscribe(subscriber));
    return () => {
      clock.clearTimeout(timer);
      leave?.();
      subscription.unsubscribe();
      scope.close();
    };
  });
}
