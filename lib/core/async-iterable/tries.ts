import { AbortError } from '../cancellation.js';
import type { CallContext, Progress } from '../call-context.js';
import { runInside } from '../context.js';
import type { Opening } from '../result-kind.js';
import { Reading } from './reading.js';
import { type Item, itemsOf } from './source.js';

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
  readonly #live = new Set<Reading>();

  constructor(private readonly won: (reading: Reading, first: Item) => void) {}

  /** One try: settles when its iteration has ended, failed, or been given up. */
  async begin(call: CallContext, open: Opening): Promise<unknown> {
    const source = (open(call) as AsyncIterable<unknown, unknown, unknown>)[Symbol.asyncIterator]();
    const reading = new Reading(source, call, {
      resolve: (first) => this.#take(reading, first),
      reject: () => undefined, // the try fails, and is perhaps not the last
    });
    this.#live.add(reading);
    try {
      return await reading.ended;
    } finally {
      this.#live.delete(reading);
    }
  }

  /** The call is over: a first item comes too late, and nothing is to be tried for one. */
  end(): void {
    this.progress.committed = this.progress.answered = true;
    for (const reading of this.#live) reading.giveUp(endedEarly());
  }

  #take(reading: Reading, first: Item): void {
    if (first.done === true) return;
    if (this.progress.committed) {
      reading.giveUp(endedEarly());
      return;
    }
    // By way of the try's own call: a hedge around it tells its other tries.
    const { progress = this.progress } = reading.call;
    progress.committed = progress.answered = true;
    this.won(reading, first);
  }
}

/** What an iteration ends with that its consumer has left, or that has gone on without this try. */
export function endedEarly(type = AbortError): AbortError {
  return new type('The iteration was ended early');
}
