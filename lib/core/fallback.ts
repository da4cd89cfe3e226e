import { isAbortError } from './cancellation.js';
import type { CallContext } from './call-context.js';
import { beginsUnstored, runInside, unstoredCallEnds } from './context.js';
import {
  type CompiledFilter,
  type ErrorFilter,
  compileFilter,
  errorFilter,
} from './error-filter.js';
import { deliverTo } from './deliver.js';
import {
  type Deliver,
  type Layer,
  Policy,
  type PolicySetting,
  type PolicySnapshot,
  type Receiver,
  type Run,
} from './policy.js';
import { endUnstored, promised } from './promised.js';
import { type Runtime, runtimeWith } from './runtime.js';
import { Issues, type Schema, callback, readOptions } from './validation.js';
import { type TimingsMode, timingsField } from './timings.js';

/**
 * Answers in place of failed work, with its receiver: gets the error and the work's own arguments,
 * or the error and the call's context under `execute`.
 */
// `any`: receiver and parameters are the protected function's.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type FallbackHandler = (this: any, error: any, ...args: any[]) => unknown;

/** When a fallback answers. Every option may be left out. */
export interface FallbackOptions {
  /** Record how long calls take: `'off'`, `'sampled'` (one in 17) or `'all'`. Default `'off'`. */
  timings?: TimingsMode | undefined;
  /** The errors it covers. Default: every error except aborts, which it covers only where named. */
  on?: ErrorFilter | undefined;
}

/** The options in force. */
export interface ResolvedFallbackOptions {
  readonly timings: TimingsMode | undefined;
  readonly on: ErrorFilter | undefined;
}

export const fallbackSchema: Schema<ResolvedFallbackOptions> = {
  timings: timingsField,
  on: { rule: errorFilter(), default: undefined },
};

/** What became of errors that it covers. */
export type FallbackOutcome = 'served' | 'failed';

/** How often a fallback has answered, or failed itself; the counters only go up. */
export interface FallbackSnapshot extends PolicySnapshot {
  readonly calls: Readonly<Record<FallbackOutcome, number>>;
}

/** Answers in place of work that failed. Made by `fallback()`. */
export class FallbackPolicy extends Policy implements Layer {
  readonly kind = 'fallback';
  readonly name: string;
  readonly options: ResolvedFallbackOptions;
  readonly #handler: FallbackHandler;
  readonly #matches: CompiledFilter;
  readonly #runtime: Runtime;
  readonly #calls: Record<FallbackOutcome, number> = { served: 0, failed: 0 };

  constructor(handler: FallbackHandler, options?: FallbackOptions, setting: PolicySetting = {}) {
    super(setting);
    this.name = setting.name ?? 'fallback';
    const path = `fallback(${this.name})`;
    const issues = new Issues();
    const checked = callback<FallbackHandler>()(handler);
    if ('problem' in checked) issues.add(`${path} handler`, checked.problem, handler);
    this.options = readOptions(fallbackSchema, options, path, issues);
    issues.throwIfAny();
    const { on } = this.options;
    this.#handler = handler;
    this.#matches =
      on === undefined ? (error) => !isAbortError(error) : compileFilter(on, isAbortError);
    this.#runtime = runtimeWith(setting.runtime);
  }

  stages(): [Layer] {
    return [this];
  }

  link(next: Run): Run {
    return (work, self, args, call) => {
      const abortedBefore = isAborted(call);
      const unstored = beginsUnstored(call);
      return promised(next, work, self, args, call).then(
        unstored ? endUnstored : undefined,
        (error: unknown) => {
          if (unstored) unstoredCallEnds();
          return this.#answer(error, self, args, call, abortedBefore);
        },
      );
    };
  }

  deliver(next: Deliver): Deliver {
    const answer: Answer = (...failed) => this.#answer(...failed);
    return (work, self, args, call, receiver) =>
      next(work, self, args, call, new ReplacedFailure(answer, self, args, call, receiver));
  }

  /** The handler's answer to an error that it covers; rejects with any other. */
  async #answer(
    error: unknown,
    self: unknown,
    args: readonly unknown[] | undefined,
    call: CallContext,
    abortedBefore: boolean,
  ): Promise<unknown> {
    if (!this.#covers(error, call, abortedBefore)) throw error;
    return this.#serve(error, self, args ?? [call], call);
  }

  /**
   * Nobody is there to be answered after an abort, nor can an answer begin twice. A call that began in
   * an aborted one, to clean up after it, has somebody who waits for it.
   */
  #covers(error: unknown, call: CallContext, abortedBefore: boolean): boolean {
    if (!abortedBefore && isAborted(call)) return false;
    if (call.progress?.committed === true) return false;
    try {
      return this.#matches(error);
    } catch (thrown) {
      this.#runtime.logger.error(
        `Fallback "${this.name}": the filter "on" threw; the error is not covered`,
        thrown,
      );
      return false;
    }
  }

  async #serve(
    error: unknown,
    self: unknown,
    args: readonly unknown[],
    call: CallContext,
  ): Promise<unknown> {
    const { events } = this.#runtime;
    try {
      const answer: unknown = await runInside(call, () => this.#handler.call(self, error, ...args));
      const value = call.progress?.absorb ? await call.progress.absorb(answer, call) : answer;
      this.#calls.served++;
      if (events?.listening === true) events.emit('fallback.served', this, { error });
      return value;
    } catch (thrown) {
      this.#calls.failed++;
      if (events?.listening === true) {
        events.emit('fallback.failed', this, { error: thrown, cause: error });
      }
      giveCause(thrown, error);
      throw thrown;
    }
  }

  snapshot(): FallbackSnapshot {
    const { id, kind, name, options } = this;
    return { id, kind, name, options, calls: { ...this.#calls } };
  }
}

function isAborted({ cancellation }: CallContext): boolean {
  return cancellation !== undefined && cancellation.aborted;
}

type Answer = (
  error: unknown,
  self: unknown,
  args: readonly unknown[] | undefined,
  call: CallContext,
  abortedBefore: boolean,
) => Promise<unknown>;

/** A call whose failure the fallback answers. */
class ReplacedFailure implements Receiver {
  private readonly abortedBefore = isAborted(this.call);

  constructor(
    private readonly answer: Answer,
    private readonly self: unknown,
    private readonly args: readonly unknown[] | undefined,
    private readonly call: CallContext,
    private readonly receiver: Receiver,
  ) {}

  get promise(): Promise<unknown> | undefined {
    return this.receiver.promise;
  }

  succeed(value: unknown): void {
    this.receiver.succeed(value);
  }

  fail(error: unknown): void {
    deliverTo(
      this.receiver,
      this.answer(error, this.self, this.args, this.call, this.abortedBefore),
    );
  }
}

/** Says what came before, where `error` does not say already why it came, and would not go in a circle. */
function giveCause(error: unknown, cause: unknown): void {
  try {
    if (!(error instanceof Error) || 'cause' in error || !Object.isExtensible(error)) return;
    if (leadsTo(error, cause)) return;
    Object.defineProperty(error, 'cause', { value: cause, writable: true, configurable: true });
  } catch {
    // A hostile Proxy or getter: the error stays as it is.
  }
}

/** Whether `error` is among the causes of `from`, which may go in a circle of their own. */
function leadsTo(error: Error, from: unknown): boolean {
  const seen = new Set<unknown>();
  for (let at = from; at instanceof Error && !seen.has(at); at = at.cause) seen.add(at);
  return seen.has(error);
}

/**
 * An answer for when the rest of the pipeline fails. Its own error wins, with the original as `cause`.
 *
 * @example
 * const rates = fallback((error, currency) => cache.get(currency), { on: isTransientError });
 * const rateOf = rates.wrap((currency: string) => client.rate(currency));
 * @param handler sync or async; `this` and the arguments are those of the protected function
 * @throws ResilienceConfigError for a handler that is no function, or a filter that is none
 */
export function fallback(
  handler: FallbackHandler,
  options?: FallbackOptions,
  setting?: PolicySetting,
): FallbackPolicy {
  return new FallbackPolicy(handler, options, setting);
}
