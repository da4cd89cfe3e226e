import { AbortError, CancelScope, isAbortError } from '../cancellation.js';
import { CallContext } from '../call-context.js';
import type { Work } from '../context.js';
import type { Deliver, Receiver } from '../policy.js';
import { isStreamShown } from '../result-kind.js';
import type { Timer } from '../runtime.js';
import type { HedgePolicy } from './hedge.js';
import { TryProgress } from './try-progress.js';

interface HedgeTarget {
  readonly work: Work;
  readonly self: unknown;
  readonly args: readonly unknown[] | undefined;
  readonly call: CallContext;
}

/** One try: what aborts it, and since when it runs. */
class Try implements Receiver {
  constructor(
    private readonly hedged: HedgedCall,
    readonly number: number,
    readonly scope: CancelScope,
    readonly startedAt: number,
  ) {}

  succeed(value: unknown): void {
    this.hedged.succeeded(this, value);
  }

  fail(error: unknown): void {
    this.hedged.failed(this, error);
  }
}

const beaten = (): AbortError => new AbortError('Another try has answered first');

/** The tries of one call. */
export class HedgedCall {
  #started = 0;
  readonly #running = new Set<Try>();
  #answered = false;
  /** Of a stream the try that the consumer reads. */
  #chosen: Try | undefined;
  #timer: Timer | undefined;
  #leaves: ((() => void) | undefined)[] = [];

  constructor(
    private readonly policy: HedgePolicy,
    private readonly next: Deliver,
    private readonly target: HedgeTarget,
    /** Let go of with the answer: a loser that hangs must not keep what the call ends with. */
    private receiver: Receiver | undefined,
  ) {}

  begin(): void {
    const noMore = (): void => this.#clearTimer();
    this.#leaves.push(this.policy.runtime.lifetime?.onEnd(noMore));
    this.#leaves.push(this.target.call.cancellation?.onAbort(noMore));
    this.#start();
  }

  #start(): void {
    const { work, self, args, call } = this.target;
    const scope = new CancelScope(call.cancellation);
    const started = new Try(this, ++this.#started, scope, this.#now());
    this.#running.add(started);
    if (started.number > 1) {
      this.#tell('hedge.started', started);
      const { cancellation } = call; // a listener may abort the call that it is told of
      if (cancellation?.aborted === true) {
        this.failed(started, cancellation.reason);
        return;
      }
    }
    this.policy.attempts++;
    this.#setTimer();
    this.next(work, self, args, this.#callOf(started), started);
  }

  #callOf(started: Try): CallContext {
    const { call } = this.target;
    const { attempt, progress, lingering, probes } = call;
    if (progress === undefined) return call.within(started.scope);
    const own = new TryProgress(progress, () => this.#choose(started));
    return new CallContext(attempt, started.scope, own, lingering, probes);
  }

  /** The other tries are told at once; they end, and count as losers, when their work does. */
  #choose(chosen: Try): void {
    this.#chosen = chosen;
    const reason = beaten();
    for (const other of this.#running) if (other !== chosen) other.scope.abort(reason);
  }

  succeeded(winner: Try, value: unknown): void {
    this.#running.delete(winner);
    winner.scope.close();
    if (this.#answered) return this.target.call.lingering?.ends();
    if (this.#chosen !== undefined && winner !== this.#chosen) return;
    this.#observe(winner);
    this.#answer(winner.number === 1 ? 'original' : 'hedge');
    if (winner.number > 1) this.#tell('hedge.won', winner);
    this.#abortLosers();
    this.#leave().succeed(value);
  }

  failed(failed: Try, error: unknown): void {
    this.#running.delete(failed);
    // A try that gave way to another one's first item leaves work that has to be told.
    if (isAbortError(error)) failed.scope.abort(error);
    failed.scope.close();
    if (this.#answered) return this.target.call.lingering?.ends();
    if (this.#running.size > 0 && failed !== this.#chosen) return;
    if (!this.#givenUp(error) && this.#mayStart()) {
      this.#start();
    } else {
      this.#answer('none');
      if (isStreamShown(error)) this.#uncount();
      this.#abortLosers();
      this.#leave().fail(error);
    }
  }

  #uncount(): void {
    this.policy.attempts--;
    this.policy.calls.none--;
  }

  #leave(): Receiver {
    const receiver = this.receiver as Receiver;
    this.receiver = undefined;
    return receiver;
  }

  #tell(type: 'hedge.started' | 'hedge.won', { number }: Try): void {
    const { events } = this.policy.runtime;
    if (events?.listening === true) events.emit(type, this.policy, { hedge: number - 1 });
  }

  #abortLosers(): void {
    if (this.#running.size === 0) return;
    const reason = beaten();
    for (const loser of this.#running) {
      this.#observe(loser);
      this.target.call.lingering?.begins();
      loser.scope.abort(reason);
    }
  }

  #answer(winner: 'original' | 'hedge' | 'none'): void {
    this.#answered = true;
    this.policy.calls[winner]++;
    this.#clearTimer();
    for (const leave of this.#leaves) leave?.();
  }

  #givenUp(error: unknown): boolean {
    return isAbortError(error) || this.target.call.abortedWith(error);
  }

  /** Takes from the budget where it says yes. */
  #mayStart(): boolean {
    const { call } = this.target;
    const { options, budget } = this.policy;
    return (
      this.#started <= options.maxHedges &&
      call.cancellation?.aborted !== true &&
      call.progress?.answered !== true &&
      call.remainingTime !== 0 &&
      budget?.withdraw() !== false
    );
  }

  /** Set for each try, in its turn: the next one waits for the last that was started. */
  #setTimer(): void {
    const { options, delay, runtime } = this.policy;
    const { call } = this.target;
    this.#clearTimer();
    if (this.#started > options.maxHedges || delay.current === undefined) return;
    if (runtime.lifetime?.ended === true || call.cancellation?.aborted === true) return;
    this.#timer = runtime.clock.setTimeout(() => {
      this.#timer = undefined;
      if (this.#mayStart()) this.#start();
    }, delay.current);
  }

  #clearTimer(): void {
    if (this.#timer !== undefined) this.policy.runtime.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #observe({ startedAt }: Try): void {
    this.policy.delay.observe?.(this.#now() - startedAt);
  }

  /** Only a quantile needs to know how long a try takes. */
  #now(): number {
    return this.policy.delay.observe === undefined ? 0 : this.policy.runtime.clock.now();
  }
}
