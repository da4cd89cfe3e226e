import { BoundPass } from '../bound-pass.js';

/** One object as the pass of every call: what a call holds is a number, and each gives one back. */
export abstract class SharedPass extends BoundPass {
  succeed(): void {
    this.release();
  }

  fail(): void {
    this.release();
  }
}
