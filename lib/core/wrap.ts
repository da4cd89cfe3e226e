import { asyncAdapters } from './async-iterable/async-iterable.js';
import type { CompiledPipeline } from './compile.js';
import type { Run } from './policy.js';
import { isThenable } from './thenable.js';
import type { CallContext } from './call-context.js';
import { type Work, beginCall } from './context.js';
import {
  type ResultAdapter,
  type ResultKind,
  StreamShown,
  declaredKind,
  rememberKind,
} from './result-kind.js';

export interface WrapOptions {
  /** Kinds of result besides plain values and promises; default: async iterables. */
  readonly adapters?: readonly ResultAdapter[];
  /** The declared type of the result (`design:returntype`). */
  readonly returnType?: unknown;
  /** It declares no result: it counts as synchronous until a call shows otherwise. */
  readonly declaresNothing?: boolean;
}

/** What is known of a function's results. */
interface KnownKind {
  kind: ResultKind | undefined;
  /** Where no call has shown a kind: what throws, or returns nothing, has given no promise so far. */
  seemsPlain: boolean;
}

/** `work` through the pipeline of its receiver, with its `this`, `name`, `length` and kind of result. */
export function protectFunction<F extends Work>(
  work: F,
  pipelineOf: (self: unknown) => CompiledPipeline,
  { adapters = asyncAdapters, returnType, declaresNothing = false }: WrapOptions = {},
): F {
  const known: KnownKind = {
    kind: declaredKind(work, adapters, returnType),
    seemsPlain: declaresNothing,
  };
  const wrapper = function (this: unknown, ...args: unknown[]): unknown {
    const pipeline = pipelineOf(this);
    const { kind } = known;
    if (kind === 'promise') return pipeline.run(work, this, args, beginCall());
    if (kind === 'plain') return pipeline.runSync(work, this, args, beginCall());
    if (kind !== undefined)
      return kind.adapt(pipeline, openingOf(work, this, args), { self: this, args });
    return callUnknown(pipeline, work, this, args, adapters, known);
  };
  rememberKind(wrapper, () => known.kind);
  return disguise(wrapper, work) as F;
}

function openingOf(work: Work, self: unknown, args: readonly unknown[]): () => unknown {
  return () => work.apply(self, args as unknown[]);
}

/**
 * A first call, whose result shows the kind. A stream must not have passed the gates yet (its calls
 * are its subscriptions), so the probe ends as given up, which no policy counts or repeats.
 */
function callUnknown(
  pipeline: CompiledPipeline,
  work: Work,
  self: unknown,
  args: readonly unknown[],
  adapters: readonly ResultAdapter[],
  known: KnownKind,
): unknown {
  let stream: { adapter: ResultAdapter; value: unknown } | undefined;
  let answered = false;
  const progress = { committed: false, answered: false };
  const run = known.seemsPlain ? pipeline.runSync : pipeline.run;
  const probe = (): unknown => {
    known.seemsPlain = true;
    const value = work.apply(self, args as unknown[]);
    const adapter = adapters.find((each) => each.recognises(value));
    if (adapter === undefined) {
      if (value !== undefined && value !== null)
        known.kind = isThenable(value) ? 'promise' : 'plain';
      return value;
    }
    known.kind = adapter;
    if (answered) return value; // a layer waited first: the caller holds a promise already
    stream = { adapter, value };
    progress.committed = progress.answered = true; // whatever a filter says, this is not tried again
    throw new StreamShown('The call returned a stream; its subscriptions are the calls');
  };
  const result = quietly(
    () => run(probe, self, args, beginCall().following(progress)),
    () => stream,
  );
  answered = true;
  if (stream === undefined) return result;
  const open = reopening(stream.value, openingOf(work, self, args));
  const free = isThenable(result) ? freedBy(result, pipeline) : pipeline;
  return stream.adapter.adapt(free, open, { self, args });
}

/** The pipeline once a first look is over: gates around a layer get back what it holds a few turns later. */
function freedBy(look: PromiseLike<unknown>, pipeline: CompiledPipeline): CompiledPipeline {
  const ends = (): void => undefined;
  const end = look.then(ends, ends);
  const run: Run = (...call) => end.then(() => pipeline.run(...call));
  return { run, runSync: run };
}

/** The result of `run`; what it throws is the probe's own once a stream has shown itself. */
function quietly(run: () => unknown, stream: () => unknown): unknown {
  try {
    return run();
  } catch (error) {
    if (stream() === undefined) throw error;
    return undefined;
  }
}

/** The stream that is there already for the first use, and a new one for each later. */
function reopening(first: unknown, open: (call: CallContext) => unknown): typeof open {
  let unused = true;
  return (call) => {
    if (!unused) return open(call);
    unused = false;
    return first;
  };
}

/** Gives `wrapper` the looks of `original`: `name`, `length`, and what else was put on it. */
export function disguise(wrapper: Work, original: Work): Work {
  const looks = Object.getOwnPropertyDescriptors(original) as Record<string, PropertyDescriptor>;
  for (const key of Reflect.ownKeys(looks)) {
    if (key === 'prototype' || key === 'arguments' || key === 'caller') continue;
    Object.defineProperty(wrapper, key, looks[key as string] as PropertyDescriptor);
  }
  return wrapper;
}
