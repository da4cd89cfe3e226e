import type { CallContext } from '../call-context.js';
import { runInside } from '../context.js';
import { PromisedAnswer } from '../deliver.js';
import { type Item, type Source, closed, isItem, noItem } from './source.js';

/** A step that the consumer waits for. */
export interface Read {
  resolve(item: Item): void;
  reject(error: unknown): void;
}

/** After the first item: the consumer reads the source itself, and its errors are the source's own. */
export class Reading {
  readonly #end = new PromisedAnswer();
  readonly #ignoreAbort: (() => void) | undefined;
  #open = true;
  #left = false;

  constructor(
    private readonly source: Source,
    /** The context of the try that opened the source. */
    private readonly call: CallContext,
  ) {
    this.#ignoreAbort = call.cancellation?.onAbort(this.#end.fail);
  }

  /** Settles as the source does: what the pipeline waits for. */
  get ended(): Promise<unknown> {
    return this.#end.promise;
  }

  /** Whether the source has more to give. */
  get open(): boolean {
    return this.#open;
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
    const step = (): Promise<Item> => this.source.throw?.(error) as Promise<Item>;
    this.#step(read, step, (thrown) => {
      if (thrown === error) this.#end.succeed(undefined);
      else this.#end.fail(thrown);
    });
  }

  /** The consumer has what it wanted, a success, whatever comes now: its abort, or a failed step. */
  leave(): void {
    this.#left = true;
    this.#ignoreAbort?.();
  }

  /** Closes the source that was left. The call ends, and gives its slot back, with the clean-up. */
  close(read: Read, value: unknown): void {
    this.#inCall(() => this.source.return?.(value)).then(
      (item: Item | undefined) => {
        read.resolve(item ?? { done: true, value });
        this.#end.succeed(undefined);
      },
      (error: unknown) => {
        read.reject(error);
        this.#end.succeed(undefined);
      },
    );
  }

  /** Nobody reads any more. */
  abandon(): void {
    void closed(this.source);
  }

  #step(read: Read, step: () => Promise<Item>, fail = this.#end.fail): void {
    const failed = (error: unknown): void => {
      read.reject(error);
      this.#settle(() => fail(error));
    };
    this.#inCall(step).then((item: unknown) => {
      if (!isItem(item)) {
        failed(noItem(item));
        return;
      }
      read.resolve(item);
      if (item.done === true) this.#settle(() => this.#end.succeed(item.value));
    }, failed);
  }

  #settle(end: () => void): void {
    if (this.#left) return;
    this.#open = false;
    this.#ignoreAbort?.();
    end();
  }

  /** A step in the context of the source's call; what it throws rejects. */
  #inCall<T>(step: () => T): Promise<Awaited<T>> {
    return new Promise<T>((resolve) => {
      resolve(runInside(this.call, step));
    }) as Promise<Awaited<T>>;
  }
}
