import { BoundPass } from './bound-pass.js';
import type { CallContext } from './call-context.js';
import type { Gate, Pass } from './policy.js';

/** Several gates as one: one step and one promise hop for all of them. */
export class FusedGates implements Gate {
  #refusal!: Error;

  constructor(private readonly gates: readonly Gate[]) {}

  admit(args: readonly unknown[] | undefined, call: CallContext): Pass | undefined {
    const passes: Pass[] = [];
    let inside = call;
    for (const gate of this.gates) {
      const pass = gate.admit(args, inside);
      if (pass === undefined) {
        this.#unwind(passes, gate.refusal());
        return undefined;
      }
      passes.push(pass);
      inside = pass.contextOf(inside);
    }
    return new FusedPass(passes);
  }

  refusal(): Error {
    return this.#refusal;
  }

  /** The outer gates learn of an inner refusal as of any error of theirs. */
  #unwind(passes: readonly Pass[], refusal: Error): void {
    for (const pass of passes.toReversed()) pass.fail(refusal);
    this.#refusal = refusal;
  }
}

class FusedPass extends BoundPass {
  constructor(private readonly passes: readonly Pass[]) {
    super();
  }

  override contextOf(call: CallContext): CallContext {
    let inside = call;
    for (const pass of this.passes) inside = pass.contextOf(inside);
    return inside;
  }

  succeed(value: unknown): void {
    for (let at = this.passes.length - 1; at >= 0; at--) (this.passes[at] as Pass).succeed(value);
  }

  fail(error: unknown): void {
    for (let at = this.passes.length - 1; at >= 0; at--) (this.passes[at] as Pass).fail(error);
  }

  release(): void {
    for (let at = this.passes.length - 1; at >= 0; at--) (this.passes[at] as Pass).release();
  }

  uncount(): void {
    for (const pass of this.passes) pass.uncount();
  }
}
