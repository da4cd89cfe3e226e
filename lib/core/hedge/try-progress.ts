import type { Progress } from '../call-context.js';

/** How far the answer of the whole call has come; says when it is this try's item that has come. */
export class TryProgress implements Progress {
  constructor(
    private readonly whole: Progress,
    private readonly onItem: () => void,
  ) {}

  get absorb(): Progress['absorb'] {
    return this.whole.absorb;
  }

  get committed(): boolean {
    return this.whole.committed;
  }

  set committed(committed: boolean) {
    this.whole.committed = committed;
  }

  get answered(): boolean {
    return this.whole.answered;
  }

  set answered(answered: boolean) {
    this.whole.answered = answered;
    this.onItem();
  }
}
