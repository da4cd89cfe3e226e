import { AbortError } from '../cancellation.js';
import type { CallContext, Progress } from '../call-context.js';
import { runInside } from '../context.js';
import type { Opening } from '../result-kind.js';
import { Reading } from './reading.js';
import { type Item, type Source, closed, isItem, itemsOf, noItem } from './source.js';

/**
 * Before the first item: the pipeline may open the source again (a retry), or twice at once (a hedge).
 * The first try to have an item wins; from then on its source is read, and no other is opened.
 */
export class Tries {
  readonly progress: Progress = {
    committed: false,
    answered: false,
    absorb: (answer, call) => runInside(call, () => this.begin(call, () => itemsOf(answer))),
  };
  /** Sends away the tries that wait for their first item. */
  readonly #waiting = new Set<() => void>();
  #over = false;

  constructor(private readonly won: (reading: Reading, first: Item) => void) {}

  /** One try: settles when its iteration ends, fails, or is given up. */
  async begin(call: CallContext, open: Opening): Promise<unknown> {
    const source = (open(call) as AsyncIterable<unknown, unknown, unknown>)[Symbol.asyncIterator]();
    const first = await this.#firstOf(source);
    if (!isItem(first)) throw noItem(first);
    if (first.done === true) return first.value;
    // Another try (a hedge) may have been first with its first item.
    if (this.#over || this.progress.committed || call.cancellation?.aborted === true) {
      await closed(source);
      throw reasonOf(call);
    }
    this.progress.committed = this.progress.answered = true;
    for (const giveWay of [...this.#waiting]) giveWay();
    const reading = new Reading(source, call);
    this.won(reading, first);
    return reading.ended;
  }

  /** The call is over: a first item comes too late. */
  end(): void {
    this.#over = true;
  }

  /** The first item, unless another try brings one before. */
  #firstOf(source: Source): Promise<Item> {
    return new Promise<Item>((resolve, reject) => {
      const giveWay = (): void => {
        void closed(source);
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
}

/** Why the call is over: what it was aborted with, else that its consumer has left. */
function reasonOf({ cancellation }: CallContext): Error {
  const reason = cancellation?.reason as Error | undefined;
  return reason ?? new AbortError('The iteration was ended early');
}
