import { type CallContext, PLAIN } from './call-context.js';
import { beginsUnstored, invoke, unstoredCallEnds } from './context.js';
import { fused } from './fused-gates.js';
import { PromisedAnswer, delivering, failLater, promising, rejectLater } from './deliver.js';
import type {
  Deliver,
  Gate,
  Layer,
  Pass,
  Receiver,
  Refuse,
  Run,
  Stage,
  Watcher,
} from './policy.js';
import { isStreamShown } from './result-kind.js';
import { isThenable } from './thenable.js';

/** A pipeline linked once, in two forms that differ in how a leading gate turns a call away. */
export interface CompiledPipeline {
  /** Refuses with a rejected promise. */
  readonly run: Run;
  /**
   * Refuses by throwing: for functions known to be synchronous. Linked on first use. With a layer that
   * gives promises it refuses with one too.
   */
  readonly runSync: Run;
}

const raise: Refuse = (rejection) => {
  throw rejection;
};

/** Links `stages`, outermost first, into one function. Neighbouring gates become one step. */
export function compile(stages: readonly Stage[]): CompiledPipeline {
  let sync: Run | undefined;
  return {
    run: link(stages, rejectLater),
    get runSync() {
      return (sync ??= stages.some(givesPromises) ? this.run : link(stages, raise));
    },
  };
}

function link(stages: readonly Stage[], outermost: Refuse): Run {
  const refusals = refusalsAt(stages, outermost);
  let linked: Linked = { run: invoke };
  let gates: Gate[] = [];
  let early = false;
  for (let at = stages.length - 1; at >= 0; at--) {
    const given = stages[at] as Stage;
    const stage: Stage = early && 'admit' in given ? (given.lasting ?? given) : given;
    if ('admit' in stage) {
      gates.unshift(stage);
      continue;
    }
    const around = stages.slice(0, at);
    linked = linkOne(stage, gates, linked, refusals[at + 1] as Refuse, early, around);
    gates = [];
    early ||= (stage as Layer).answersEarly === true;
  }
  return gated(gates, linked, outermost);
}

/** What is linked so far, in the form in which it answers. */
type Linked = { readonly run: Run } | { readonly deliver: Deliver };

/** The next step: `stage` around `gates` around `inner`, in which something may answer `early`. */
function linkOne(
  stage: Layer | Watcher,
  gates: readonly Gate[],
  inner: Linked,
  refuse: Refuse,
  early: boolean,
  around: readonly Stage[],
): Linked {
  if ('watch' in stage) return { run: stage.watch(gated(gates, inner, refuse)) };
  const prefersLink = stage.link !== undefined && (!early || stage.synchronous === true);
  if (stage.deliver !== undefined && !prefersLink) {
    return { deliver: stage.deliver(gatedDelivery(gates, inner, refuse), around) };
  }
  if (stage.link === undefined) throw new TypeError('A layer must have link or deliver');
  return { run: stage.link(gated(gates, inner, refuse), around) };
}

/** How a gate at each place refuses: in front as the caller needs, inside a layer as that layer does. */
function refusalsAt(stages: readonly Stage[], outermost: Refuse): Refuse[] {
  let refuse = outermost;
  const inside = stages.map((stage) => {
    if (isLayer(stage)) refuse = stage.synchronous === true ? raise : rejectLater;
    return refuse;
  });
  return [outermost, ...inside];
}

function givesPromises(stage: Stage): boolean {
  return isLayer(stage) && stage.synchronous !== true;
}

function isLayer(stage: Stage): stage is Layer {
  return !('admit' in stage) && !('watch' in stage);
}

/** The step that takes its gates in order, runs `inner`, and settles them in reverse. */
function gated(gates: readonly Gate[], inner: Linked, refuse: Refuse): Run {
  const gate = fused(gates);
  if ('run' in inner) return gate === undefined ? inner.run : oneGate(gate, inner.run, refuse);
  return gate === undefined ? promising(inner.deliver) : gateBefore(gate, inner.deliver, refuse);
}

/** The same for a step that delivers: settling is a call, not a hop. */
function gatedDelivery(gates: readonly Gate[], inner: Linked, refuse: Refuse): Deliver {
  if ('run' in inner) return delivering(gated(gates, inner, refuse));
  const gate = fused(gates);
  return gate === undefined ? inner.deliver : deliveringGate(gate, inner.deliver);
}

function oneGate(gate: Gate, next: Run, refuse: Refuse): Run {
  return (work, self, args, outer) => {
    const pass = gate.admit(args, outer);
    if (pass === undefined) return refuse(gate.refusal());
    const call = pass.contextOf(outer);
    const unstored = beginsUnstored(call);
    let result: unknown;
    let plainPromise: boolean;
    try {
      result = next(work, self, args, call);
      plainPromise = call === PLAIN && result instanceof Promise; // a hostile Proxy throws here
    } catch (error) {
      if (unstored) unstoredCallEnds();
      settleFailure(pass, call, error);
      throw error;
    }
    if (plainPromise) {
      const { onSuccess, onFailure } = unstored ? pass.unstoredSettlers : pass.settlers;
      return (result as Promise<unknown>).then(onSuccess, onFailure);
    }
    return settleLater(pass, call, unstored, result);
  };
}

/** A gate in front of a step that delivers, for a caller who wants a promise. */
function gateBefore(gate: Gate, next: Deliver, refuse: Refuse): Run {
  return (work, self, args, outer) => {
    const pass = gate.admit(args, outer);
    if (pass === undefined) return refuse(gate.refusal());
    const call = pass.contextOf(outer);
    const answer = new PromisedAnswer();
    next(work, self, args, call, new SettlingReceiver(pass, call, answer));
    return answer.promise;
  };
}

function deliveringGate(gate: Gate, next: Deliver): Deliver {
  return (work, self, args, outer, receiver) => {
    const pass = gate.admit(args, outer);
    if (pass === undefined) {
      failLater(receiver, gate.refusal());
      return;
    }
    const call = pass.contextOf(outer);
    next(work, self, args, call, new SettlingReceiver(pass, call, receiver));
  };
}

/** Settles a gate's pass with the answer of the call that it admitted. */
class SettlingReceiver implements Receiver {
  constructor(
    private readonly pass: Pass,
    private readonly call: CallContext,
    private readonly receiver: Receiver,
  ) {}

  get promise(): Promise<unknown> | undefined {
    return this.receiver.promise;
  }

  succeed(value: unknown): void {
    this.pass.succeed(value);
    this.receiver.succeed(value);
  }

  fail(error: unknown): void {
    settleFailure(this.pass, this.call, error);
    this.receiver.fail(error);
  }
}

/** The less common endings: a synchronous value, a foreign thenable, a call that can be aborted. */
function settleLater(pass: Pass, call: CallContext, unstored: boolean, result: unknown): unknown {
  if (!isThenable(result)) {
    if (unstored) unstoredCallEnds();
    pass.succeed(result);
    return result;
  }
  const { onSuccess, onFailure } = unstored ? pass.unstoredSettlers : pass.settlers;
  const promise = Promise.resolve(result);
  const plain = call.cancellation === undefined && call.progress === undefined;
  if (plain) return promise.then(onSuccess, onFailure);
  return promise.then(onSuccess, (error: unknown) => {
    settleFailure(pass, call, error);
    throw error;
  });
}

/** A caller's abort tells nothing about the dependency, whatever the reason it gave. */
function settleFailure(pass: Pass, call: CallContext, error: unknown): void {
  const nothingToLearn = isStreamShown(error);
  if (nothingToLearn) pass.uncount();
  if (nothingToLearn || call.abortedWith(error)) pass.release();
  else pass.fail(call.timedOutWith(error) ?? error);
}
