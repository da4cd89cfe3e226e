import { Observable, Subject, type Subscriber, from, isObservable, takeUntil } from 'rxjs';
import { AbortError, CancelScope } from '../core/cancellation.js';
import { type CompiledPipeline, isThenable } from '../core/compile.js';
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
  return new Observable((subscriber) => {
    new Subscription(pipeline, open, subscriber).start();
  });
}

/** One subscription through the pipeline. */
class Subscription {
  readonly #enclosing = beginCall();
  readonly #progress = { committed: false, answered: false };
  readonly #scope = new CancelScope(this.#enclosing.cancellation);
  /** The attempt whose items the subscriber gets: of several at once, the first to bring one. */
  #owner: Attempt | undefined;
  #completed: Attempt | undefined;
  #over = false;

  constructor(
    private readonly pipeline: CompiledPipeline,
    private readonly open: Opening,
    private readonly subscriber: Subscriber<unknown>,
  ) {}

  start(): void {
    const call = this.#enclosing.within(this.#scope).following(this.#progress);
    const work = (inner: CallContext): Promise<unknown> => this.#attempt(inner);
    // Before the source is subscribed to: one that never pauses can be left too.
    this.subscriber.add(() => this.#leave());
    new Promise((resolve) => {
      resolve(this.pipeline.run(work, undefined, undefined, call));
    }).then(
      (value) => this.#end(() => this.#succeed(value)),
      (error: unknown) => this.#end(() => this.subscriber.error(error)),
    );
  }

  /**
   * The subscriber leaves. One that has had an item (`firstValueFrom`, `take`) had its answer, so the
   * call was a success; before that it was given up. The work is told to stop either way.
   */
  #leave(): void {
    if (this.#over) return; // the error made for nobody would be a fifth of the cost
    if (this.#owner?.live === true) this.#owner.suffice();
    this.#scope.abort(new AbortError('Unsubscribed'));
  }

  /** The call is over; to the subscriber's leaving, which follows, nothing listens any more. */
  #end(settle: () => void): void {
    this.#over = true;
    this.#scope.close();
    settle();
  }

  /** The value of an attempt that completed has been emitted; any other is a fallback's. */
  #succeed(value: unknown): void {
    if (this.#completed !== undefined && Object.is(this.#completed.result, value)) {
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
      const succeed = (): void => {
        this.#completed = attempt;
        resolve(attempt.result);
      };
      const attempt: Attempt = { live: true, result: undefined, suffice: () => stop(succeed) };
      const source = from(this.open(call) as Observable<unknown>);
      const left = new Subject<void>();
      const leaves: (() => void)[] = [];
      const finish = (settle: () => void): void => {
        if (!attempt.live) return;
        attempt.live = false;
        for (const leave of leaves) leave();
        settle();
      };
      /** Settles it and leaves the source. */
      const stop = (settle: () => void): void => {
        finish(settle);
        left.next();
      };
      const abandon = (reason: unknown): void => stop(() => reject(reason));
      const leave = call.cancellation?.onAbort(abandon);
      if (leave) leaves.push(leave);
      if (!attempt.live) return;
      source.pipe(takeUntil(left)).subscribe({
        next: (item) => {
          if (this.#takes(attempt, item)) this.subscriber.next(item);
          else abandon(new AbortError('Another attempt has answered'));
        },
        error: (error: unknown) => finish(() => reject(error)),
        complete: () => finish(succeed),
      });
    });
  }

  #takes(attempt: Attempt, item: unknown): boolean {
    if (this.#owner !== attempt && this.#owner?.live === true) return false;
    this.#owner = attempt;
    this.#progress.answered = true;
    // A promise among the items is the subscriber's: to settle with it would be to wait for it.
    attempt.result = isThenable(item) ? undefined : item;
    return true;
  }
}

interface Attempt {
  live: boolean;
  /** What it settles with when it completes: its last item. */
  result: unknown;
  /** Settles it as a success with the items that have come. */
  suffice(): void;
}
