import type { Pass } from '../policy.js';

/** One object as the pass of every call: what a call holds is a number, and each gives one back. */
export abstract class SharedPass implements Pass {
  readonly onSuccess = (value: unknown): unknown => {
    this.release();
    return value;
  };

  readonly onFailure = (error: unknown): never => {
    this.release();
    throw error;
  };

  succeed(): void {
    this.release();
  }

  fail(): void {
    this.release();
  }

  abstract release(): void;
}
