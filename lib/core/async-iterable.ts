import { AbortError, CancelScope } from './cancellation.js';
import { type CompiledPipeline, isThenable } from './compile.js';
import {
  type CallContext,
  type Progress,
  type Work,
  beginCall,
  enclosingCall,
  runInside,
} from './context.js';
import type { CallTarget, Opening, ResultAdapter } from './result-kind.js';

/** Protects async iterators: one call from the first `next` to the end. */
export const asyncIterableAdapter: ResultAdapter = {
  declares: (work: Work) => work.constructor.name === 'AsyncGeneratorFunction',
  recognises: (value) =>
    typeof value === 'object' &&
    value !== null &&
    Symbol.asyncIterator in value &&
    !isThenable(value) && // a query that can be awaited as well as iterated is awaited
    !('pipe' in value), // a Node stream is more than its iterator
  adapt: (pipeline, open, target) => new GuardedIterable(pipeline, open, target),
};

type Item = IteratorResult<unknown>;
type Source = AsyncIterator<unknown, unknown, unknown>;
interface Settle<T> {
  resolve(value: T): void;
  reject(error: unknown): void;
}

/**
 * Runs the pipeline around the whole iteration. A retry may start it again until the first item has
 * come; from then on the consumer reads the source itself, and its errors are the source's own.
 */
class GuardedIterable implements AsyncIterableIterator<unknown, unknown, unknown> {
  readonly #progress: Progress = { committed: false, answered: false };
  readonly #enclosing = beginCall();
  readonly #scope = new CancelScope(this.#enclosing.cancellation);
  #started: Promise<Item> | undefined;
  #source: Source | undefined;
  /** The context of the attempt whose source it is. */
  #call: CallContext | undefined;
  /** Settles the attempt that the pipeline is waiting for. */
  #attempt: Settle<unknown> | undefined;
  /** The reads under way; the pipeline's end (a time limit, say) ends them. */
  readonly #reads = new Set<Settle<Item>>();
  /** Tries that wait for their first item; the first to have it sends the others away. */
  readonly #waiting = new Set<() => void>();
  #over = false;
  /** How the pipeline ended the iteration between two reads; the next read tells. */
  #untold: { error: unknown } | undefined;

  constructor(
    private readonly pipeline: CompiledPipeline,
    private readonly open: Opening,
    private readonly target?: CallTarget,
  ) {}

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(...args: [] | [unknown]): Promise<Item> {
    if (this.#over && this.#started === undefined) return Promise.resolve(DONE);
    if (this.#started === undefined) return (this.#started = this.#begin());
    const read = (): Promise<Item> => this.#read((source) => source.next(...args));
    return this.#started.then(read, read);
  }

  async return(value?: unknown): Promise<Item> {
    const source = this.#source;
    this.#giveUp();
    await this.#step(() => source?.return?.(value));
    return { done: true, value };
  }

  throw(error?: unknown): Promise<Item> {
    const raise = this.#source?.throw?.bind(this.#source);
    if (raise !== undefined) return this.#read(() => raise(error));
    this.#giveUp();
    return Promise.reject(error);
  }

  /** Starts the call; the first item, or the end of an empty iteration, answers the first `next`. */
  #begin(): Promise<Item> {
    return this.#pending((first) => {
      const progress: Progress = Object.assign(this.#progress, {
        absorb: (answer: unknown, inner: CallContext) =>
          runInside(inner, () => this.#iterate(inner, () => itemsOf(answer), first)),
      });
      const call = this.#enclosing.within(this.#scope).following(progress);
      const work = (): Promise<unknown> =>
        this.#iterate(enclosingCall() as CallContext, this.open, first);
      const running = new Promise((resolve) => {
        resolve(this.pipeline.run(work, this.target?.self, this.target?.args, call));
      });
      running.then(
        (value) => this.#end((read) => read.resolve({ done: true, value })),
        (error: unknown) => {
          if (this.#reads.size === 0 && !this.#over) this.#untold = { error };
          this.#end((read) => read.reject(error));
        },
      );
    });
  }

  /** One attempt: settles when the iteration ends, fails, or is given up. */
  async #iterate(call: CallContext, open: Opening, first: Settle<Item>): Promise<unknown> {
    const source = (open(call) as AsyncIterable<unknown, unknown, unknown>)[Symbol.asyncIterator]();
    const item = await this.#firstOf(source);
    if (item.done === true) return item.value;
    // Another try (a hedge) may have been first with its first item.
    if (this.#over || this.#progress.committed || call.cancellation?.aborted === true) {
      closeQuietly(source);
      throw reasonOf(call);
    }
    this.#source = source;
    this.#call = call;
    this.#progress.committed = this.#progress.answered = true;
    for (const giveWay of [...this.#waiting]) giveWay();
    first.resolve(item);
    return this.#untilEnd(call);
  }

  /** The first item, unless another try brings one before. */
  #firstOf(source: Source): Promise<Item> {
    return new Promise<Item>((resolve, reject) => {
      const giveWay = (): void => {
        closeQuietly(source);
        settle(() => reject(new AbortError('Another attempt has answered')));
      };
      const settle = (end: () => void): void => {
        this.#waiting.delete(giveWay);
        end();
      };
      this.#waiting.add(giveWay);
      new Promise<Item>((settled) => settled(source.next())).then(
        (item) => settle(() => resolve(item)),
        (error: unknown) => settle(() => reject(error)),
      );
    });
  }

  #untilEnd(call: CallContext): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const leave = call.cancellation?.onAbort(reject);
      this.#attempt = {
        resolve: (value) => {
          leave?.();
          resolve(value);
        },
        reject: (error) => {
          leave?.();
          reject(error);
        },
      };
    });
  }

  #read(step: (source: Source) => Promise<Item>): Promise<Item> {
    if (this.#untold !== undefined) {
      const { error } = this.#untold;
      this.#untold = undefined;
      return Promise.reject(error);
    }
    const source = this.#source;
    if (this.#over || source === undefined) return Promise.resolve(DONE);
    return this.#pending((read) => {
      this.#step(() => step(source)).then(
        (item) => {
          read.resolve(item);
          if (item.done !== true) return;
          this.#source = undefined;
          this.#attempt?.resolve(item.value);
        },
        (error: unknown) => {
          read.reject(error);
          this.#over = true;
          this.#attempt?.reject(error);
        },
      );
    });
  }

  /** One step of the source, in the context of its call; what it throws rejects. */
  #step<T>(step: () => T): Promise<Awaited<T>> {
    const call = this.#call;
    return new Promise<T>((resolve) => {
      resolve(call === undefined ? step() : runInside(call, step));
    }) as Promise<Awaited<T>>;
  }

  /** A read that the end of the call can settle too. */
  #pending(start: (read: Settle<Item>) => void): Promise<Item> {
    return new Promise((resolve, reject) => {
      const read: Settle<Item> = {
        resolve: (item) => {
          this.#reads.delete(read);
          resolve(item);
        },
        reject: (error) => {
          this.#reads.delete(read);
          reject(error);
        },
      };
      this.#reads.add(read);
      start(read);
    });
  }

  /** The call is over: what still reads is settled, and a source left in the middle is closed. */
  #end(settle: (read: Settle<Item>) => void): void {
    const abandoned = this.#over ? undefined : this.#source;
    this.#over = true;
    this.#scope.close();
    for (const read of [...this.#reads]) settle(read);
    if (abandoned !== undefined) closeQuietly(abandoned);
  }

  /** The consumer stops early: a success where an item has come, else nothing for or against. */
  #giveUp(): void {
    this.#over = true;
    this.#attempt?.resolve(undefined);
    this.#scope.abort(new AbortError('The iteration was ended early'));
  }
}

/** A fallback's answer: a stream as it is, anything else as the only item. */
function itemsOf(answer: unknown): unknown {
  return asyncIterableAdapter.recognises(answer) ? answer : onlyItem(answer);
}

function onlyItem(item: unknown): AsyncIterable<unknown> {
  const items = [item].values();
  return { [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve(items.next()) }) };
}

/** Why the call is over: what it was aborted with, else that its consumer has left. */
function reasonOf({ cancellation }: CallContext): Error {
  const reason = cancellation?.reason as Error | undefined;
  return reason ?? new AbortError('The iteration was ended early');
}

/** Ends a source that nobody reads any more; how it takes that is nobody's business. */
function closeQuietly(source: Source): void {
  new Promise((resolve) => resolve(source.return?.())).catch(() => undefined);
}

const DONE: Item = { done: true, value: undefined };
