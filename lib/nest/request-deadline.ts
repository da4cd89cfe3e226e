import type { ContextType, ExecutionContext } from '@nestjs/common';
import { Observable, throwError } from 'rxjs';
import { CancelScope } from '../core/cancellation.js';
import type { CallContext } from '../core/call-context.js';
import { beginCall, runInside } from '../core/context.js';
import { CallerTimeoutError } from '../core/errors.js';
import type { Clock } from '../core/runtime.js';
import type { ResolvedHttpOptions } from './module-schema.js';
import type { ResilienceRegistry } from './registry.js';

const MILLISECONDS = /^\d{1,9}$/;

/** What the caller of a request said it would wait, and what is left of that, in milliseconds. */
export interface RequestDeadline {
  readonly limit: number;
  readonly left: number;
}

interface Request {
  readonly headers?: Readonly<Record<string, unknown>>;
}

/** When a request was first seen: each resolver of a GraphQL request meets it again. */
const arrivals = new WeakMap<Request, number>();

/** The deadline of an HTTP or GraphQL request; `undefined` where its caller says nothing usable. */
export function requestDeadline(
  context: ExecutionContext,
  { deadlineHeader, maxDeadline }: ResolvedHttpOptions,
  clock: Clock,
): RequestDeadline | undefined {
  const request = deadlineHeader === false ? undefined : requestOf(context);
  if (!request?.headers) return undefined;
  const value = request.headers[String(deadlineHeader).toLowerCase()];
  if (typeof value !== 'string' || !MILLISECONDS.test(value) || Number(value) === 0)
    return undefined;
  const limit = Math.min(Number(value), maxDeadline);
  return { limit, left: limit - waited(request, clock) };
}

function waited(request: Request, clock: Clock): number {
  const now = clock.now();
  const arrival = arrivals.get(request) ?? now;
  arrivals.set(request, arrival);
  return now - arrival;
}

function requestOf(context: ExecutionContext): Request | undefined {
  const type = context.getType<'graphql' | ContextType>();
  if (type === 'http') return context.switchToHttp().getRequest<Request>();
  if (type !== 'graphql') return undefined;
  // Nest's drivers put it there, whatever the application makes of the context.
  const request = context.getArgByIndex<{ readonly req?: Request } | undefined>(2)?.req;
  // The request that opened a WebSocket says nothing of the operations that follow over it.
  return request?.headers?.['upgrade'] === undefined ? request : undefined;
}

/** What is aborted when the deadline of a request has come. */
class RequestScope extends CancelScope {
  readonly #at: number;

  constructor(
    enclosing: CallContext,
    private readonly clock: Clock,
    left: number,
  ) {
    super(enclosing.cancellation);
    this.#at = clock.now() + left;
  }

  override get timeLeft(): number {
    return this.#at - this.clock.now();
  }
}

/** The stream under a deadline: when it has come, what runs in it is aborted with a TimeoutError, which breakers ignore. */
export function withinDeadline<T>(
  { limit, left }: RequestDeadline,
  { runtime: { clock }, lifetime }: Pick<ResilienceRegistry, 'runtime' | 'lifetime'>,
  open: () => Observable<T>,
): Observable<T> {
  const expired = (): CallerTimeoutError => new CallerTimeoutError(limit);
  if (left <= 0) return throwError(expired);
  return new Observable((subscriber) => {
    const enclosing = beginCall();
    const scope = new RequestScope(enclosing, clock, left);
    const call = enclosing.within(scope);
    const timer = clock.setTimeout(() => scope.abort(expired()), left);
    const leave = lifetime.onEnd(() => clock.clearTimeout(timer));
    const subscription = runInside(call, () => open().subscribe(subscriber));
    return () => {
      clock.clearTimeout(timer);
      leave();
      subscription.unsubscribe();
      scope.close();
    };
  });
}
