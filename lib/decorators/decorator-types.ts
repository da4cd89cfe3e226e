import type { Observable } from 'rxjs';

// `any` in this file: a decorator takes methods whatever their parameters.
/* eslint-disable @typescript-eslint/no-explicit-any */

/** What can be awaited, subscribed to or iterated: work that may be run again later. */
export type AsyncResult = PromiseLike<unknown> | Observable<unknown> | AsyncIterable<unknown>;

/** On any method, or on a class for all its own methods. */
export type AnyMethodDecorator = MethodDecorator & ClassDecorator;

/** What the compiler shows in place of a synchronous method's descriptor. */
export interface UseRetrySyncForSynchronousMethods {
  readonly 'This method is synchronous: use @RetrySync(), or make it async': never;
}
export interface UseRetryForAsynchronousMethods {
  readonly 'This method is asynchronous: use @Retry()': never;
}
export interface NoTimeLimitOfSynchronousMethods {
  readonly 'This method is synchronous, and nothing can interrupt it: make it async': never;
}
export interface NoHedgeOfSynchronousMethods {
  readonly 'This method is synchronous, and no other try can start beside it: make it async': never;
}
export interface NoFallbackOfSynchronousMethods {
  readonly 'This method is synchronous, and @Fallback() would make it answer with a promise: make it async': never;
}
export interface NoPolicyOfSynchronousMethods {
  readonly 'This method is synchronous, and a policy may wait: make it async, or use @CircuitProtected(), @Bulkhead() or @RateLimit()': never;
}

type IsAny<T> = 0 extends 1 & T ? true : false;
type ResultOf<M> = M extends (...args: any[]) => infer R ? R : never;
type IsNever<T> = [T] extends [never] ? true : false;
type Stream = Observable<unknown> | AsyncIterable<unknown>;

/**
 * Whether a method may answer later: all its results are ones to wait for, or a promise of the others is
 * among them, as in `T | Promise<T>`. A policy that makes a promise of any result keeps to that.
 */
type AnswersLater<R> = [R] extends [AsyncResult]
  ? true
  : IsNever<Extract<R, AsyncResult>> extends true
    ? false
    : [Promise<Awaited<Exclude<R, Stream>>>] extends [R]
      ? true
      : false;

/** For policies that may wait or run the method again: `Advice` is for a method that answers on the spot. */
export type AsyncMethodDecorator<Advice> = ClassDecorator &
  (<M>(
    target: object,
    key: string | symbol,
    descriptor: IsAny<ResultOf<M>> extends true
      ? TypedPropertyDescriptor<M>
      : AnswersLater<ResultOf<M>> extends true
        ? TypedPropertyDescriptor<M>
        : Advice,
  ) => void);

/** For policies that block until they are done. */
export type SyncMethodDecorator = ClassDecorator &
  (<M>(
    target: object,
    key: string | symbol,
    descriptor: IsAny<ResultOf<M>> extends true
      ? TypedPropertyDescriptor<M>
      : IsNever<Extract<ResultOf<M>, AsyncResult>> extends true
        ? TypedPropertyDescriptor<M>
        : UseRetryForAsynchronousMethods,
  ) => void);
