import { beginsUnstored, unstoredCallEnds } from './context.js';
import type { Deliver, Receiver, Run } from './policy.js';
import { promised } from './promised.js';

let resolveLast: (value: unknown) => void;
let rejectLast: (error: unknown) => void;
// One for all: an executor of its own would be a closure for each call.
const capture = (resolve: typeof resolveLast, reject: typeof rejectLast): void => {
  resolveLast = resolve;
  rejectLast = reject;
};

/** The end of a delivery: a promise for the caller. */
export class PromisedAnswer implements Receiver {
  readonly promise = new Promise<unknown>(capture);
  readonly succeed = resolveLast;
  readonly fail = rejectLast;
}

/** Hands an answer on as it is, does what is to be done when it comes, and then knows nobody. */
export abstract class PassedAnswer implements Receiver {
  constructor(private receiver: Receiver | undefined) {}

  protected abstract answered(): void;

  get promise(): Promise<unknown> | undefined {
    return this.receiver?.promise;
  }

  succeed(value: unknown): void {
    this.#leave().succeed(value);
  }

  fail(error: unknown): void {
    this.#leave().fail(error);
  }

  #leave(): Receiver {
    const receiver = this.receiver as Receiver;
    this.receiver = undefined;
    this.answered();
    return receiver;
  }
}

/** A step that delivers, for one who wants a promise. */
export function promising(next: Deliver): (...call: Parameters<Run>) => Promise<unknown> {
  return (work, self, args, call) => {
    const answer = new PromisedAnswer();
    next(work, self, args, call, answer);
    return answer.promise;
  };
}

/** A step that gives a promise or a value, or throws, for a layer that receives. */
export function delivering(next: Run): Deliver {
  return (work, self, args, call, receiver) => {
    const unstored = beginsUnstored(call);
    const promise = promised(next, work, self, args, call);
    if (unstored) promise.then(succeedUnstored.bind(receiver), failUnstored.bind(receiver));
    else deliverTo(receiver, promise);
  };
}

/** Hands the outcome of `promise` to `receiver`. */
export function deliverTo(receiver: Receiver, promise: Promise<unknown>): void {
  promise.then(succeed.bind(receiver), fail.bind(receiver));
}

// Bound: two closures and what they share are 75 bytes more for each call.

function succeed(this: Receiver, value: unknown): void {
  this.succeed(value);
}

function fail(this: Receiver, error: unknown): void {
  this.fail(error);
}

function succeedUnstored(this: Receiver, value: unknown): void {
  unstoredCallEnds();
  this.succeed(value);
}

function failUnstored(this: Receiver, error: unknown): void {
  unstoredCallEnds();
  this.fail(error);
}

const settled = Promise.resolve();

/**
 * One microtask later: Node enters a promise that is rejected before it has a handler into its list of
 * unhandled rejections and takes it out again, which costs as much as the error itself (300 ns).
 */
export function rejectLater(rejection: Error): Promise<never> {
  return settled.then(() => {
    throw rejection;
  });
}

/** The same for a receiver: an answer never comes before the step has returned. */
export function failLater(receiver: Receiver, rejection: Error): void {
  void settled.then(() => receiver.fail(rejection));
}
