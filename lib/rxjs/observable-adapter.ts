import { Observable, Subject, type Subscriber, from, isObservable, of, takeUntil } from 'rxjs';
import { AbortError, CancelScope, SufficedError, isSufficed } from '../core/cancellation.js';
import type { CompiledPipeline } from '../core/compile.js';
import { isThenable } from '../core/thenable.js';
import { isAsyncIterable } from '../core/async-iterable/source.js';
import type { CallContext, Progress } from '../core/call-context.js';
import { beginCall, enclosingCall, handTo, runInside } from '../core/context.js';
import type { CallTarget, Opening, ResultAdapter } from '../core/result-kind.js';

/** Protects Observables: each subscription is one call, from subscribing to completion, error or unsubscribe. */
export const observableAdapter: ResultAdapter = {
  declares: (_work, returnType) => returnType === Observable,
  recognises: isObservable,
  adapt: protectObservable,
};

/** The protected stream: a retry subscribes to `open` again; unsubscribing gives every permit back. */
export function protectObservable(
  pipeline: CompiledPipeline,
  open: Opening,
  target?: CallTarget,
): Observable<unknown> {
  return new Observable((subscriber) => {
    new Subscription(pipeline, open, subscriber).start(target);
  });
}

/** One subscription through the pipeline. */
class Subscription {
  readonly #enclosing = beginCall();
  readonly #progress: Progress = {
    committed: false,
    answered: false,
    absorb: (answer, call) =>
      runInside(call, () =>
        this.#attempt(call, () => (isObservable(answer) ? answer : of(answer))),
      ),
  };
  readonly #scope = new CancelScope(this.#enclosing.cancellation);
  /** The attempt whose items the subscriber gets: of several at once, the first to bring one. */
  #owner: Attempt | undefined;
  #completed: Attempt | undefined;
  #over = false;
  /** What a stream ends with for its subscriber that has not come to its end, although its call is a success. */
  #cutOff: unknown;
  readonly #live = new Set<Attempt>();
  /** What the subscriber does with an item is no part of the call, but of the one that it subscribed in. */
  readonly #around = enclosingCall();
  readonly #next = (item: unknown): void => this.subscriber.next(item);

  constructor(
    private readonly pipeline: CompiledPipeline,
    private readonly open: Opening,
    private readonly subscriber: Subscriber<unknown>,
  ) {}

  start(target?: CallTarget): void {
    const call = this.#enclosing.within(this.#scope).following(this.#progress);
    const work = (): Promise<unknown> => this.#attempt(enclosingCall() as CallContext, this.open);
    // Before the source is subscribed to: one that never pauses can be left too.
    this.subscriber.add(() => this.#leave());
    new Promise((resolve) => {
      resolve(this.pipeline.run(work, target?.self, target?.args, call));
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
    const answering = this.#owner?.live === true ? this.#owner : undefined;
    answering?.suffice();
    this.#scope.abort(new (answering ? SufficedError : AbortError)('Unsubscribed'));
  }

  /** The call is over; to the subscriber's leaving, which follows, nothing listens any more. */
  #end(settle: () => void): void {
    this.#over = true;
    this.#scope.close();
    settle();
  }

  /** The value of an attempt that completed has been emitted; any other is a policy's own. */
  #succeed(value: unknown): void {
    if (this.#cutOff !== undefined) {
      this.subscriber.error(this.#cutOff);
      return;
    }
    const emitted = this.#completed !== undefined && Object.is(this.#completed.result, value);
    if (!emitted) this.subscriber.next(value);
    this.subscriber.complete();
  }

  /** Settles as the source does; its value is the last item, for predicates on results. */
  #attempt(call: CallContext, open: Opening): Promise<unknown> {
    if (this.#owner?.live === true) return Promise.reject(overtaken());
    this.#completed = undefined;
    this.#progress.answered = false;
    return new Promise((resolve, reject) => {
      const succeed = (): void => {
        this.#completed = attempt;
        resolve(attempt.result);
      };
      const attempt: Attempt = {
        live: true,
        result: undefined,
        suffice: () => stop(succeed),
        abandon: (reason) => stop(() => reject(reason)),
      };
      const source = streamOf(open(call));
      this.#live.add(attempt);
      const left = new Subject<void>();
      const leaves: (() => void)[] = [];
      const finish = (settle: () => void): void => {
        if (!attempt.live) return;
        attempt.live = false;
        this.#live.delete(attempt);
        for (const leave of leaves) leave();
        settle();
      };
      /** Settles it and leaves the source. */
      const stop = (settle: () => void): void => {
        finish(settle);
        left.next();
      };
      const leave = call.cancellation?.onAbort((reason) => this.#giveUp(attempt, reason));
      if (leave) leaves.push(leave);
      if (!attempt.live) return;
      source.pipe(takeUntil(left)).subscribe({
        next: (item) => {
          this.#take(attempt, item);
          handTo(this.#around, this.#next, item);
        },
        error: (error: unknown) => finish(() => reject(error)),
        complete: () => finish(succeed),
      });
    });
  }

  /** The call around this one has ended; where that has had enough of the items, this one is a success. */
  #giveUp(attempt: Attempt, reason: unknown): void {
    if (attempt === this.#owner && isSufficed(reason)) {
      this.#cutOff = reason;
      attempt.suffice();
    } else {
      attempt.abandon(reason);
    }
  }

  /** The first attempt to bring an item has the subscriber; the others that are under way give way. */
  #take(attempt: Attempt, item: unknown): void {
    // A promise among the items is the subscriber's: to settle with it would be to wait for it.
    attempt.result = isThenable(item) ? undefined : item;
    if (this.#owner === attempt) return;
    this.#owner = attempt;
    this.#progress.answered = true;
    for (const other of [...this.#live]) if (other !== attempt) other.abandon(overtaken());
  }
}

/** A method may answer on the spot one time and with a stream another, as guards do: then that is the only item. */
function streamOf(given: unknown): Observable<unknown> {
  const isStream = isObservable(given) || isThenable(given) || isAsyncIterable(given);
  return isStream ? from(given) : of(given);
}

const overtaken = (): AbortError => new AbortError('Another attempt has answered');

interface Attempt {
  live: boolean;
  /** What it settles with when it completes: its last item. */
  result: unknown;
  /** Settles it as a success with the items that have come. */
  suffice(): void;
  /** Leaves its source and fails it. */
  readonly abandon: (reason: unknown) => void;
}
