import { BoundPass } from '../bound-pass.js';
import type { Machine } from './machine.js';

/**
 * An admitted call settles on the object that admitted it. If the breaker has moved on since, that
 * object is a stranger to it and only the lifetime totals move (the state is the generation).
 */
export abstract class Admission extends BoundPass {
  constructor(protected readonly machine: Machine) {
    super();
  }

  /**
   * Not for a member of a keyed family: they would take 200 bytes of each key, and a processor that
   * goes from key to key has none of them at hand.
   */
  protected override get keepsSettlers(): boolean {
    return this.machine.rules.family === undefined;
  }

  succeed(value: unknown): void {
    const { machine } = this;
    const { rules } = machine;
    if (rules.judgesValues && rules.judge.isFailure(value)) {
      machine.failed++;
      this.failed(undefined);
    } else {
      machine.successful++;
      this.succeeded();
    }
  }

  fail(error: unknown): void {
    if (!this.machine.rules.judge.counts(error)) {
      this.release();
      return;
    }
    this.machine.failed++;
    this.machine.lastFailure = error;
    this.failed(error);
  }

  release(): void {
    this.machine.ignored++;
    this.ignored();
  }

  uncount(): void {
    this.machine.admitted--;
    this.machine.ignored--; // which the release brings back
  }

  protected abstract succeeded(): void;
  protected abstract failed(error: unknown): void;
  protected ignored(): void {
    // Neither a success nor a failure: nothing to learn.
  }
}
