import { policyBrand } from './brand.js';
import { type CompiledPipeline, compile } from './compile.js';
import type { CallContext } from './call-context.js';
import { type ExecuteOptions, type Work, beginCall } from './context.js';
import { releaseOnAbort } from './release-on-abort.js';
import { type RuntimeOptions, runtimeWith } from './runtime.js';
import { type TimingSummary, Timings, type TimingsMode } from './timings.js';
import { protectFunction } from './wrap.js';

/** What a policy is, as its id, its named option and its figures call it. */
export type PolicyKind =
  | 'pipeline'
  | 'retry'
  | 'circuitBreaker'
  | 'timeLimit'
  | 'bulkhead'
  | 'rateLimit'
  | 'adaptiveLimit'
  | 'clientThrottle'
  | 'fallback'
  | 'hedge'
  | (string & {});

/**
 * One step of a linked pipeline: runs the work, with its receiver and arguments, in its context.
 * It passes them on as they are; a thunk would be a closure for each call.
 */
export type Run = (
  work: Work,
  self: unknown,
  args: readonly unknown[] | undefined,
  call: CallContext,
) => unknown;

/** Gets the one answer of a call, in place of a promise of it. */
export interface Receiver {
  /** What it settles in the end, where that is a promise made when the call came. */
  readonly promise?: Promise<unknown> | undefined;
  succeed(value: unknown): void;
  fail(error: unknown): void;
}

/**
 * A step like `Run` that hands its answer to a receiver, after it has returned and exactly once; it
 * never throws. Between two steps of a pipeline this saves a promise: a hop and about 200 bytes.
 */
export type Deliver = (
  work: Work,
  self: unknown,
  args: readonly unknown[] | undefined,
  call: CallContext,
  receiver: Receiver,
) => void;

/** How a gate turns a call away: a rejected promise, or a throw where the function is synchronous. */
export type Refuse = (rejection: Error) => unknown;

/** Both ends of an admitted call, bound: to be given to `.then` as they are. */
export interface Settlers {
  /** Settles with `value` and hands it on. */
  readonly onSuccess: (value: unknown) => unknown;
  /** Settles with `error` and throws it on. */
  readonly onFailure: (error: unknown) => never;
}

/** What an admission hands out, to be settled exactly once. */
export interface Pass {
  readonly settlers: Settlers;
  /** For a call that is counted until then, because its context is not stored (`beginsUnstored`). */
  readonly unstoredSettlers: Settlers;
  succeed(value: unknown): void;
  fail(error: unknown): void;
  /** The call told nothing: it was given up. */
  release(): void;
  /** The context in which the admitted call runs, given the one that it came with. */
  contextOf(call: CallContext): CallContext;
  /** Before `release`: it was no call, but a first look at what a function returns (`StreamShown`). */
  uncount(): void;
}

/** Decides before a call and learns after it; never changes how often the work runs. */
export interface Gate {
  /** @param args the call's arguments; `undefined` for an `execute` */
  admit(args: readonly unknown[] | undefined, call: CallContext): Pass | undefined;
  /** Why the last `admit()` gave nothing: a fresh error. */
  refusal(): Error;
  /** Takes its place where a layer inside it may answer before its work has ended. */
  readonly lasting?: Layer;
}

/**
 * Owns the call: may run it 0..n times, or wait. Linked once per pipeline: by `link` where everything
 * inside answers when its work ends, as one hop on the promise from there; by `deliver` where a layer
 * inside may answer before, which takes a promise of its own that the layers around it need not add to.
 */
export interface Layer {
  /** @param around what stands around it, outermost first */
  link?(next: Run, around: readonly Stage[]): Run;
  /** @param around as for `link`: with nothing there, its answer goes to the caller's promise */
  deliver?(next: Deliver, around: readonly Stage[]): Deliver;
  /** Each of its calls pays into this one, and what stands inside does not: an attempt is no call. */
  readonly budget?: object | undefined;
  /** It may answer its caller while the work goes on, and tells `call.lingering` when it does. */
  readonly answersEarly?: boolean;
  /** It runs its work synchronously, so that gates inside it refuse by throwing. */
  readonly synchronous?: boolean;
}

/** Watches calls pass: it neither refuses nor repeats, and keeps the kind of a result. */
export interface Watcher {
  watch(next: Run): Run;
}

export type Stage = Gate | Layer | Watcher;

/** What a policy shows of itself; numbers are milliseconds or counts. */
export interface PolicySnapshot {
  readonly id: string;
  readonly kind: PolicyKind;
  readonly name: string;
  readonly options: object;
}

/** How a part of a pipeline describes itself, outermost first. */
export interface PolicyDescription {
  readonly kind: PolicyKind;
  readonly name: string;
  readonly options: object;
}

/** Where, and as what, a policy is made. */
export interface PolicySetting {
  /** In ids, figures and messages. */
  readonly name?: string | undefined;
  /** Clock, random and logger of this policy. Default: those of the process. */
  readonly runtime?: RuntimeOptions | undefined;
  /** Where the policy's own options say nothing of it. Default `'off'`. */
  readonly timings?: TimingsMode | undefined;
}

/** Retry, circuit breaker, time limit and the rest: alone or as a part of a pipeline. */
export abstract class Policy {
  /** `instanceof Policy` holds for the policies of another installed copy too. */
  static [Symbol.hasInstance](value: unknown): boolean {
    if (this !== Policy) return Function.prototype[Symbol.hasInstance].call(this, value);
    return policyBrand.isOn(value);
  }

  abstract readonly kind: PolicyKind;
  abstract readonly name: string;
  abstract readonly options: object;
  readonly #setting: PolicySetting | undefined;
  #compiled: CompiledPipeline | undefined;
  #timings: Timings | undefined;

  constructor(setting?: PolicySetting) {
    this.#setting = setting;
  }

  /** Stable while the process lives: `breaker:payments`, `retry:OrdersService.charge#0`. */
  get id(): string {
    return `${this.kind}:${this.name}`;
  }

  /** What it adds to a pipeline, outermost first: neighbouring gates are fused, layers linked around. */
  abstract stages(): readonly Stage[];

  /** Its stages, or those of one who shares its timings, watched where `timings` is on. */
  timedStages(stages: readonly Stage[] = this.stages()): readonly Stage[] {
    const { timings = this.#setting?.timings } = this.options as { timings?: TimingsMode };
    if (timings === undefined || timings === 'off') return stages;
    this.#timings ??= new Timings(timings, runtimeWith(this.#setting?.runtime).clock);
    return [this.#timings, ...stages];
  }

  /** How long calls took, waits and attempts included; `undefined` while `timings` is off or unused. */
  get timings(): TimingSummary | undefined {
    return this.#timings?.summary();
  }

  /** A plain object for metrics and inspection. */
  abstract snapshot(): PolicySnapshot;

  /** The single policies that it consists of, outermost first. */
  parts(): readonly Policy[] {
    return [this];
  }

  describe(): PolicyDescription[] {
    return [{ kind: this.kind, name: this.name, options: this.options }];
  }

  /** Linked on first use. */
  compiled(): CompiledPipeline {
    return (this.#compiled ??= compile(this.timedStages()));
  }

  /**
   * Runs `work` under this policy. It gets `{ signal, attempt }`.
   * @returns the work's value; rejects with the work's own error or with the policy's
   */
  execute<T>(
    work: (call: CallContext) => T | PromiseLike<T>,
    options?: ExecuteOptions,
  ): Promise<Awaited<T>> {
    const pipeline = this.#compiled ?? this.compiled();
    const result =
      options === undefined
        ? executeWith(pipeline, work)
        : executeUnder(pipeline, work, options.signal);
    return result as Promise<Awaited<T>>;
  }

  /**
   * The function under this policy, with its `this`, `name` and `length`. Gates keep the kind of its
   * result; layers (retry, time limit, ...) give a promise for a synchronous function.
   */
  wrap<F extends Work>(work: F): F {
    return protectFunction(work, () => this.compiled());
  }
}

policyBrand.put(Policy);

function executeWith(pipeline: CompiledPipeline, work: Work): Promise<unknown> {
  try {
    const result = pipeline.run(work, undefined, undefined, beginCall());
    return result instanceof Promise ? result : Promise.resolve(result);
  } catch (error) {
    return Promise.reject(error);
  }
}

function executeUnder(
  pipeline: CompiledPipeline,
  work: Work,
  signal: AbortSignal | null | undefined,
): Promise<unknown> {
  if (signal === undefined || signal === null) return executeWith(pipeline, work);
  const call = beginCall(signal);
  return releaseOnAbort(signal, call, () => pipeline.run(work, undefined, undefined, call));
}
