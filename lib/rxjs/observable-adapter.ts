import { Observable, type Subscriber, from, isObservable } from 'rxjs';
import { AbortError, CancelScope } from '../core/cancellation.js';
import type { CompiledPipeline } from '../core/compile.js';
import { type CallContext, beginCall } from '../core/context.js';
import type { Opening, ResultAdapter } from '../core/result-kind.js';

/** Protects Observables: each subscription is one call, from subscribing to completion, error or unsubscribe. */
export const observableAdapter: ResultAdapter = {
  declares: (_work, returnType) => returnType === Observable,
  recognises: isObservable,
  adapt: (pipeline, open) => protectObservable(pipeline, open),
};

/** The protected stream: a retry subscribes to `open` again; unsubscribing gives every permit back. */
export function protectObservable(pipeline: CompiledPipeline, open: Opening): Observable<unknown> {
  return new Observable((subscriber) => new Subscription(pipeline, open, subscriber).start());
}

/** One subscription through the pipeline. */
class Subscription {
  readonly #enclosing = beginCall();
  readonly #progress = { committed: false, answered: false };
  readonly #scope = new CancelScope(this.#enclosing.cancellation);
  /** The attempt whose items the subscriber gets: of several at once, the first to bring one. */
  #owner: Attempt | undefined;
  #completed: Attempt | undefined;

  constructor(
    private readonly pipeline: CompiledPipeline,
    private readonly open: Opening,
    private readonly subscriber: Subscriber<unknown>,
  ) {}

  start(): () => void {
    const call = this.#enclosing.within(this.#scope).following(this.#progress);
    const work = (inner: CallContext): Promise<unknown> => this.#attempt(inner);
    new Promise((resolve) => {
      resolve(this.pipeline.run(work, undefined, undefined, call));
    }).then(
      (value) => this.#succeed(value),
      (error: unknown) => this.subscriber.error(error),
    );
    return () => this.#scope.abort(new AbortError('Unsubscribed'));
  }

  /** The value of an attempt that completed has been emitted; any other is a fallback's. */
  #succeed(value: unknown): void {
    if (this.#completed?.last === value && this.#completed !== undefined) {
      this.subscriber.complete();
      return;
    }
    if (isObservable(value)) {
      this.subscriber.add(value.subscribe(this.subscriber));
      return;
    }
    this.subscriber.next(value);
    this.subscriber.complete();
  }

  /** Settles as the source does; its value is the last item, for predicates on results. */
  #attempt(call: CallContext): Promise<unknown> {
    this.#completed = undefined;
    return new Promise((resolve, reject) => {
      const attempt: Attempt = { live: true, last: undefined };
      const source = from(this.open(call) as Observable<unknown>);
      const finish = (settle: () => void): void => {
        attempt.live = false;
        leave?.();
        settle();
      };
      let leave: (() => void) | undefined;
      const subscription = source.subscribe({
        next: (item) => {
          if (this.#takes(attempt, item)) this.subscriber.next(item);
          else abandon(new AbortError('Another attempt has answered'));
        },
        error: (error: unknown) => finish(() => reject(error)),
        complete: () => {
          this.#completed = attempt;
          finish(() => resolve(attempt.last));
        },
      });
      const abandon = (reason: unknown): void => {
        subscription.unsubscribe();
        finish(() => reject(reason));
      };
      if (attempt.live) leave = call.cancellation?.onAbort(abandon);
    });
  }

  #takes(attempt: Attempt, item: unknown): boolean {
    if (this.#owner !== attempt && this.#owner?.live === true) return false;
    this.#owner = attempt;
    this.#progress.answered = true;
    attempt.last = item;
    return true;
  }
}

interface Attempt {
  live: boolean;
  last: unknown;
}
