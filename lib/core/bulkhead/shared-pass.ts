import { BoundPass } from '../bound-pass.js';
import { isStreamShown } from '../result-kind.js';

/** One object as the pass of every call: what a call holds is a number, and each gives one back. */
export abstract class SharedPass extends BoundPass {
  succeed(): void {
    this.release();
  }

  fail(error: unknown): void {
    if (isStreamShown(error)) this.uncount();
    this.release();
  }
}
