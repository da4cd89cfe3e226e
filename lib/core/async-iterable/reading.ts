import { type CallContext, runInside } from '../context.js';
import { PromisedAnswer } from '../deliver.js';
import { type Item, type Source, closeQuietly } from './source.js';

/** A step that the consumer waits for. */
export interface Read {
  resolve(item: Item): void;
  reject(error: unknown): void;
}

/** After the first item: the consumer reads the source itself, and its errors are the source's own. */
export class Reading {
  readonly #end = new PromisedAnswer();
  readonly #leave: (() => void) | undefined;
  #open = true;

  constructor(
    private readonly source: Source,
    /** The context of the try that opened the source. */
    private readonly call: CallContext,
  ) {
    this.#leave = call.cancellation?.onAbort(this.#end.fail);
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

  throw(read: Read, error: unknown): void {
    this.#step(read, () => this.source.throw?.(error) as Promise<Item>);
  }

  async return(value: unknown): Promise<void> {
    await this.#inCall(() => this.source.return?.(value));
  }

  /** The consumer has what it wanted: a success. */
  suffice(): void {
    this.#settle(() => this.#end.succeed(undefined));
  }

  /** Nobody reads any more. */
  abandon(): void {
    closeQuietly(this.source);
  }

  #step(read: Read, step: () => Promise<Item>): void {
    this.#inCall(step).then(
      (item) => {
        read.resolve(item);
        if (item.done === true) this.#settle(() => this.#end.succeed(item.value));
      },
      (error: unknown) => {
        read.reject(error);
        this.#settle(() => this.#end.fail(error));
      },
    );
  }

  #settle(end: () => void): void {
    this.#open = false;
    this.#leave?.();
    end();
  }

  /** A step in the context of the source's call; what it throws rejects. */
  #inCall<T>(step: () => T): Promise<Awaited<T>> {
    return new Promise<T>((resolve) => {
      resolve(runInside(this.call, step));
    }) as Promise<Awaited<T>>;
  }
}
