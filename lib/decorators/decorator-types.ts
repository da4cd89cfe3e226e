import type { Observable } from 'rxjs';

// `any` in this file: a decorator takes methods whatever their parameters.
/* eslint-disable @typescript-eslint/no-explicit-any */

/** What can be awaited, subscribed to or iterated: work that may be run again later. */
export type AsyncResult = PromiseLike<unknown> | Observable<unknown> | AsyncIterable<unknown>;

/** On any method, or on a class for all its own public methods. */
export type AnyMethodDecorator = MethodDecorator & ClassDecorator;

/** What the compiler shows in place of a synchronous method's descriptor. */
export interface UseRetrySyncForSynchronousMethods {
  readonly 'This method is synchronous: use @RetrySync(), or make it async': never;
}
export interface UseRetryForAsynchronousMethods {
  readonly 'This method is asynchronous: use @Retry()': never;
}

type IsAny<T> = 0 extends 1 & T ? true : false;
type ResultOf<M> = M extends (...args: any[]) => infer R ? R : never;

/** For policies that may wait or run the method again: not for a method that answers on the spot. */
export type AsyncMethodDecorator = ClassDecorator &
  (<M>(
    target: object,
    key: string | symbol,
    descriptor: IsAny<ResultOf<M>> extends true
      ? TypedPropertyDescriptor<M>
      : ResultOf<M> extends AsyncResult
        ? TypedPropertyDescriptor<M>
        : UseRetrySyncForSynchronousMethods,
  ) => void);

/** For policies that block until they are done. */
export type SyncMethodDecorator = ClassDecorator &
  (<M>(
    target: object,
    key: string | symbol,
    descriptor: IsAny<ResultOf<M>> extends true
      ? TypedPropertyDescriptor<M>
      : ResultOf<M> extends AsyncResult
        ? UseRetryForAsynchronousMethods
        : TypedPropertyDescriptor<M>,
  ) => void);
