import type { CallContext } from '../call-context.js';
import { isSufficed } from '../cancellation.js';
import { runInside } from '../context.js';
import { PromisedAnswer } from '../deliver.js';
import { type Item, type Source, isItem, noItem } from './source.js';

/** A step that somebody waits for. */
export interface Read {
  resolve(item: Item): void;
  reject(error: unknown): void;
}

const NOBODY: Read = { resolve: () => undefined, reject: () => undefined };

/**
 * The source of one try, used in the context of its call. However it is to end, it has ended when
 * none of its steps is under way any more, the clean-up of one that is closed among them.
 */
export class Reading {
  readonly #answer = new PromisedAnswer();
  readonly #ignoreAbort: (() => void) | undefined;
  #underWay = 0;
  #hasGiven = false;
  /** How it ends; the first to say so decides. */
  #end: (() => void) | undefined;
  #closed = false;

  /** Takes the first step. */
  constructor(
    private readonly source: Source,
    /** The context of the try that opened the source. */
    readonly call: CallContext,
    first: Read,
  ) {
    this.next(first);
    this.#ignoreAbort = call.cancellation?.onAbort((reason) => this.giveUp(reason));
  }

  /** Settles as the source does: what the pipeline waits for. */
  get ended(): Promise<unknown> {
    return this.#answer.promise;
  }

  /** Whether the source has not come to an end of its own. */
  get open(): boolean {
    return this.#end === undefined || this.#closed;
  }

  /** Whether the consumer can throw into the source. */
  get catches(): boolean {
    return this.source.throw !== undefined;
  }

  next(read: Read, ...args: [] | [unknown]): void {
    this.#step(read, () => this.source.next(...args));
  }

  /** The consumer's own error, where the source lets it through, is no failure: it has left. */
  throw(read: Read, error: unknown): void {
    const step = (): unknown => this.source.throw?.(error);
    this.#step(read, step, (thrown) => {
      if (thrown === error) this.#answer.succeed(undefined);
      else this.#answer.fail(thrown);
    });
  }

  /** The consumer has what it wanted, a success, whatever comes now: its abort, or a failed step. */
  leave(read: Read, value: unknown): void {
    this.#finish(() => this.#answer.succeed(undefined), read, value);
  }

  /** Nobody waits for the source any more; in the call around it somebody may have had enough of its items. */
  giveUp(reason: unknown): void {
    const suffices = this.#hasGiven && isSufficed(reason);
    const end = (): void =>
      suffices ? this.#answer.succeed(undefined) : this.#answer.fail(reason);
    this.#finish(end, NOBODY);
  }

  #finish(end: () => void, read: Read, value?: unknown): void {
    if (this.#end !== undefined) return;
    this.#closed = true;
    this.#endWith(end);
    void this.#run(
      async () => {
        await Promise.resolve(); // what aborts the call tells its work before
        return this.source.return?.(value);
      },
      (item) => read.resolve((item as Item | undefined) ?? { done: true, value }),
      (error) => read.reject(error),
    );
  }

  /** Of a source that is closed the end of the call answers the reads. */
  #step(read: Read, step: () => unknown, fail = this.#answer.fail): void {
    if (this.#closed) return;
    void this.#run(
      step,
      (item) => {
        if (this.#closed) return;
        if (!isItem(item)) throw noItem(item);
        this.#hasGiven ||= item.done !== true;
        read.resolve(item);
        if (item.done === true) this.#endWith(() => this.#answer.succeed(item.value));
      },
      (error) => {
        if (this.#closed) return;
        read.reject(error);
        this.#endWith(() => fail(error));
      },
    );
  }

  #endWith(end: () => void): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#ignoreAbort?.();
  }

  /** A step in the context of the source's call. */
  async #run(
    step: () => unknown,
    succeed: (item: unknown) => void,
    fail: (error: unknown) => void,
  ): Promise<void> {
    this.#underWay++;
    try {
      succeed(await runInside(this.call, step));
    } catch (error) {
      fail(error);
    }
    if (--this.#underWay === 0) this.#end?.();
  }
}
