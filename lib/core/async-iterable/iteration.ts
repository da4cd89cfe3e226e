import { AbortError, CancelScope, SufficedError } from '../cancellation.js';
import type { CompiledPipeline } from '../compile.js';
import type { CallContext } from '../call-context.js';
import { beginCall, enclosingCall } from '../context.js';
import type { CallTarget, Opening } from '../result-kind.js';
import type { Read, Reading } from './reading.js';
import type { Item } from './source.js';
import { Tries, endedEarly } from './tries.js';

/**
 * What the consumer holds: runs the pipeline around the whole iteration. A retry may start it again
 * until the first item has come (`Tries`); from then on the consumer reads the source (`Reading`).
 */
export class Iteration implements AsyncIterableIterator<unknown, unknown, unknown> {
  readonly #enclosing = beginCall();
  readonly #scope = new CancelScope(this.#enclosing.cancellation);
  #started: Promise<Item> | undefined;
  #reading: Reading | undefined;
  /** The reads under way; the pipeline's end (a time limit, say) ends them. */
  readonly #reads = new Set<Read>();
  #over = false;
  /** How the pipeline ended the iteration between two reads; the next read tells. */
  #untold: { error: unknown } | undefined;

  // Nobody's to see: what prints or serialises a stream must not get at the receiver and its secrets.
  readonly #pipeline: CompiledPipeline;
  readonly #open: Opening;
  readonly #target: CallTarget | undefined;

  constructor(pipeline: CompiledPipeline, open: Opening, target?: CallTarget) {
    this.#pipeline = pipeline;
    this.#open = open;
    this.#target = target;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(...args: [] | [unknown]): Promise<Item> {
    if (this.#over && this.#started === undefined) return Promise.resolve(DONE);
    if (this.#started === undefined) return (this.#started = this.#begin());
    const next = (): Promise<Item> => this.#read((reading, read) => reading.next(read, ...args));
    return this.#started.then(next, next);
  }

  /** A success where an item has come, else nothing for or against. */
  return(value?: unknown): Promise<Item> {
    const reading = this.#current;
    this.#over = true;
    const answer =
      reading === undefined
        ? Promise.resolve({ done: true as const, value })
        : this.#leave(reading, value);
    this.#scope.abort(endedEarly(reading === undefined ? AbortError : SufficedError));
    return answer;
  }

  async throw(error?: unknown): Promise<Item> {
    if (this.#current?.catches === true) {
      return this.#read((reading, read) => reading.throw(read, error));
    }
    await this.return().catch(() => undefined);
    throw error;
  }

  /** As iterators of the language have it from Node 24 on: `await using` leaves it at the end of its block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** Starts the call; the first item, or the end of an empty iteration, answers the first `next`. */
  #begin(): Promise<Item> {
    return this.#pending((read) => {
      let ignoreAbort: (() => void) | undefined;
      const tries = new Tries((reading, first) => {
        this.#reading = reading;
        read.resolve(first);
        // Its work may go on after that; the consumer does not wait for it.
        ignoreAbort = this.#enclosing.cancellation?.onAbort((reason) => this.#fail(reason));
      });
      const call = this.#enclosing.within(this.#scope).following(tries.progress);
      const work = (): Promise<unknown> => tries.begin(enclosingCall() as CallContext, this.#open);
      const running = new Promise((resolve) => {
        resolve(this.#pipeline.run(work, this.#target?.self, this.#target?.args, call));
      });
      const end = (tell: () => void): void => {
        ignoreAbort?.();
        tell();
        tries.end();
        this.#scope.close();
      };
      running.then(
        (value) => end(() => this.#settle((each) => each.resolve({ done: true, value }))),
        (error: unknown) => end(() => this.#fail(error)),
      );
    });
  }

  #read(step: (reading: Reading, read: Read) => void): Promise<Item> {
    if (this.#untold !== undefined) {
      const { error } = this.#untold;
      this.#untold = undefined;
      return Promise.reject(error);
    }
    const reading = this.#current;
    if (reading === undefined) return Promise.resolve(DONE);
    return this.#pending((read) => step(reading, read));
  }

  /** The reading while the consumer has neither left nor seen the end. */
  get #current(): Reading | undefined {
    return this.#over || this.#reading?.open !== true ? undefined : this.#reading;
  }

  /** A read that the end of the call can settle too. */
  #pending(start: (read: Read) => void): Promise<Item> {
    return new Promise((resolve, reject) => {
      const read: Read = {
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

  #leave(reading: Reading, value: unknown): Promise<Item> {
    this.#settle((read) => read.resolve(DONE));
    return this.#pending((read) => reading.leave(read, value));
  }

  #fail(error: unknown): void {
    if (this.#reads.size === 0 && this.#current !== undefined) this.#untold = { error };
    this.#settle((read) => read.reject(error));
  }

  /** There is nothing more to read. */
  #settle(tell: (read: Read) => void): void {
    this.#over = true;
    for (const read of [...this.#reads]) tell(read);
  }
}

const DONE: Item = { done: true, value: undefined };
