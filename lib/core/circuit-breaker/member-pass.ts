import { BoundPass } from '../bound-pass.js';
import type { Pass } from '../policy.js';

/**
 * Binds a member's pass for one call: bound for all calls of the member, as a breaker of its own does
 * it, it takes 200 bytes of each key, and a processor that goes from key to key has none of them at hand.
 */
export class MemberPass extends BoundPass {
  constructor(private readonly pass: Pass) {
    super();
  }

  succeed(value: unknown): void {
    this.pass.succeed(value);
  }

  fail(error: unknown): void {
    this.pass.fail(error);
  }

  release(): void {
    this.pass.release();
  }

  uncount(): void {
    this.pass.uncount();
  }
}
