import { Brand } from './brand.js';
import { AbortError } from './cancellation.js';
import type { CompiledPipeline } from './compile.js';
import type { CallContext } from './call-context.js';
import type { Work } from './context.js';

/** How to protect results that are neither a plain value nor a promise: streams and iterators. */
export interface ResultAdapter {
  /** Whether the function, or the type it was declared to return, shows this kind before any call. */
  declares(work: Work, returnType: unknown): boolean;
  recognises(value: unknown): boolean;
  /** The protected result: each of its uses is one call of `open` through the pipeline. */
  adapt(pipeline: CompiledPipeline, open: Opening, target?: CallTarget): unknown;
}

/** Receiver and arguments of the protected function, for handlers and keys. */
export interface CallTarget {
  readonly self: unknown;
  readonly args: readonly unknown[];
}

/**
 * What the first call of a function ends with that turned out to return a stream: its calls are its
 * subscriptions, so this one never was. An abort, which no policy counts or repeats.
 */
export class StreamShown extends AbortError {}
const streamShown = new Brand<StreamShown>('stream-shown');
streamShown.put(StreamShown);

export function isStreamShown(error: unknown): boolean {
  return streamShown.isOn(error);
}

/** Calls the protected function for its stream or iterator. */
export type Opening = (call: CallContext) => unknown;

/** What kind of result a function gives; a gate has to know when it turns a call away. */
export type ResultKind = 'promise' | 'plain' | ResultAdapter;

/** Declared types that promise nothing. */
const PLAIN_TYPES = new Set<unknown>([Number, String, Boolean, Array]);

const kinds = new WeakMap<object, () => ResultKind | undefined>();

/** Remembers the kind of a wrapper, which is a plain function and shows none of its own. */
export function rememberKind(wrapper: object, kind: () => ResultKind | undefined): void {
  kinds.set(wrapper, kind);
}

/** What can be known before the first call. */
export function declaredKind(
  work: Work,
  adapters: readonly ResultAdapter[],
  returnType?: unknown,
): ResultKind | undefined {
  const remembered = kinds.get(work)?.();
  if (remembered !== undefined) return remembered;
  // Before the declared type: compilers write Promise for an async generator.
  const adapter = adapters.find((each) => each.declares(work, returnType));
  if (adapter !== undefined) return adapter;
  if (work.constructor.name === 'AsyncFunction' || returnType === Promise) return 'promise';
  return PLAIN_TYPES.has(returnType) ? 'plain' : undefined;
}
