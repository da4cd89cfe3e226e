import { type CallContext, PLAIN, invoke } from './context.js';
import type { Gate, Pass, Refuse, Run, Stage } from './policy.js';

/** A pipeline linked once, in two forms that differ in how a leading gate turns a call away. */
export interface CompiledPipeline {
  /** Refuses with a rejected promise. */
  readonly run: Run;
  /** Refuses by throwing: for functions known to be synchronous. Linked on first use. */
  readonly runSync: Run;
}

const settled = Promise.resolve();

// One microtask later: Node enters a promise that is rejected before it has a handler into its list of
// unhandled rejections and takes it out again, which costs as much as the error itself (300 ns).
const reject: Refuse = (rejection) =>
  settled.then(() => {
    throw rejection;
  });
const raise: Refuse = (rejection) => {
  throw rejection;
};

/** Links `stages`, outermost first, into one function. Neighbouring gates become one step. */
export function compile(stages: readonly Stage[]): CompiledPipeline {
  let sync: Run | undefined;
  return {
    run: link(stages, reject),
    get runSync() {
      return (sync ??= link(stages, raise));
    },
  };
}

function link(stages: readonly Stage[], outermost: Refuse): Run {
  const refusals = refusalsAt(stages, outermost);
  let next: Run = invoke;
  let gates: Gate[] = [];
  let early = false;
  for (let at = stages.length - 1; at >= 0; at--) {
    const given = stages[at] as Stage;
    const stage: Stage = early && 'admit' in given ? (given.lasting ?? given) : given;
    if ('admit' in stage) {
      gates.unshift(stage);
      continue;
    }
    const inner = gated(gates, next, refusals[at + 1] as Refuse);
    gates = [];
    next = 'link' in stage ? stage.link(inner, early) : stage.watch(inner);
    early ||= 'link' in stage && stage.answersEarly === true;
  }
  return gated(gates, next, outermost);
}

/** How a gate at each place refuses: in front as the caller needs, inside a layer as that layer does. */
function refusalsAt(stages: readonly Stage[], outermost: Refuse): Refuse[] {
  let refuse = outermost;
  const inside = stages.map((stage) => {
    if ('link' in stage) refuse = stage.synchronous === true ? raise : reject;
    return refuse;
  });
  return [outermost, ...inside];
}

/** The step that takes its gates in order, runs `next`, and settles them in reverse. */
function gated(gates: readonly Gate[], next: Run, refuse: Refuse): Run {
  const [only, ...others] = gates;
  if (only === undefined) return next;
  return oneGate(others.length === 0 ? only : new FusedGates(gates), next, refuse);
}

function oneGate(gate: Gate, next: Run, refuse: Refuse): Run {
  return (work, self, args, call) => {
    const pass = gate.admit(args);
    if (pass === undefined) return refuse(gate.refusal());
    let result: unknown;
    try {
      result = next(work, self, args, call);
    } catch (error) {
      settleFailure(pass, call, error);
      throw error;
    }
    if (result instanceof Promise && call === PLAIN) {
      return result.then(pass.onSuccess, pass.onFailure);
    }
    return settleLater(pass, call, result);
  };
}

/** The less common endings: a synchronous value, a foreign thenable, a call that can be aborted. */
function settleLater(pass: Pass, call: CallContext, result: unknown): unknown {
  if (!isThenable(result)) {
    pass.succeed(result);
    return result;
  }
  if (call.cancellation === undefined) {
    return Promise.resolve(result).then(pass.onSuccess, pass.onFailure);
  }
  return Promise.resolve(result).then(pass.onSuccess, (error: unknown) => {
    settleFailure(pass, call, error);
    throw error;
  });
}

/** A caller's abort tells nothing about the dependency, whatever the reason it gave. */
function settleFailure(pass: Pass, call: CallContext, error: unknown): void {
  if (call.abortedWith(error)) pass.release();
  else pass.fail(call.timedOutWith(error) ?? error);
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  if ((typeof value !== 'object' || value === null) && typeof value !== 'function') return false;
  try {
    return typeof (value as { then?: unknown }).then === 'function';
  } catch {
    return false; // a hostile getter: whoever awaits the value will meet it
  }
}

/** Several gates as one: one step and one promise hop for all of them. */
class FusedGates implements Gate {
  #refusal!: Error;

  constructor(private readonly gates: readonly Gate[]) {}

  admit(args?: readonly unknown[]): Pass | undefined {
    const passes: Pass[] = [];
    for (const gate of this.gates) {
      const pass = gate.admit(args);
      if (pass === undefined) {
        this.#unwind(passes, gate.refusal());
        return undefined;
      }
      passes.push(pass);
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

class FusedPass implements Pass {
  constructor(private readonly passes: readonly Pass[]) {}

  readonly onSuccess = (value: unknown): unknown => {
    this.succeed(value);
    return value;
  };

  readonly onFailure = (error: unknown): never => {
    this.fail(error);
    throw error;
  };

  succeed(value: unknown): void {
    for (let at = this.passes.length - 1; at >= 0; at--) (this.passes[at] as Pass).succeed(value);
  }

  fail(error: unknown): void {
    for (let at = this.passes.length - 1; at >= 0; at--) (this.passes[at] as Pass).fail(error);
  }

  release(): void {
    for (let at = this.passes.length - 1; at >= 0; at--) (this.passes[at] as Pass).release();
  }
}
