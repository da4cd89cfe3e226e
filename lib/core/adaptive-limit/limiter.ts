import { BoundPass } from '../bound-pass.js';
import { type CompiledFilter, compileFilter } from '../error-filter.js';
import { BulkheadRejectedError } from '../errors.js';
import { isOverloadError } from '../overload-error.js';
import type { Gate, Layer } from '../policy.js';
import type { Runtime } from '../runtime.js';
import { decided } from '../thenable.js';
import { Gradient } from './gradient.js';
import { LimitLayer } from './limit-layer.js';
import type { ResolvedAdaptiveLimitOptions } from './options.js';
import { Probe } from './probe.js';
import { SamplingWindow } from './sampling-window.js';
import { withoutStack } from '../without-stack.js';

/** Let through, turned away; and of those let through: told of overload, told nothing. */
export type AdaptiveLimitOutcome = 'accepted' | 'rejected' | 'dropped' | 'ignored';

/** A window is at least so many unloaded latencies long, so that it sees what its limit does. */
const LATENCIES_PER_WINDOW = 2;
/** A probe takes two or three windows; calls that never end must not hold the limit down. */
const WINDOWS_PER_PROBE = 10;
/** Lengthens probe intervals by up to this part, so that a fleet does not probe in one instant. */
const PROBE_JITTER = 0.15;

/** Lets as many calls through at once as the dependency can work on. */
export class AdaptiveLimiter implements Gate {
  readonly calls: Record<AdaptiveLimitOutcome, number> = {
    accepted: 0,
    rejected: 0,
    dropped: 0,
    ignored: 0,
  };
  inUse = 0;
  readonly lasting: Layer = new LimitLayer(this);
  readonly gradient: Gradient;
  readonly #window = new SamplingWindow();
  readonly #tellsOfOverload: CompiledFilter;
  #probe: Probe | undefined;
  #nextProbeAt = -Infinity;
  /** Calls that began under another limit than this period's are not measured. */
  #period = 0;

  constructor(
    private readonly name: string,
    private readonly options: ResolvedAdaptiveLimitOptions,
    private readonly runtime: Runtime,
  ) {
    this.gradient = new Gradient(options, (limit) => this.#queueSize(limit));
    this.#tellsOfOverload = compileFilter(options.dropOn ?? isOverloadError);
  }

  /** Calls at once, now. */
  get limit(): number {
    return this.#probe?.limit ?? this.gradient.limit;
  }

  get probing(): boolean {
    return this.#probe !== undefined;
  }

  admit(): AdmittedCall | undefined {
    const now = this.runtime.clock.now();
    if (this.#probe !== undefined && now >= this.#probe.endsAt) this.#endProbe(now);
    if (this.inUse >= this.limit) {
      this.#reject();
      return undefined;
    }
    if (this.calls.accepted++ === 0) this.#window.open(now, 0);
    this.#window.began(++this.inUse);
    return new AdmittedCall(this, now, this.#period);
  }

  refusal(): Error {
    const make = (): Error => new BulkheadRejectedError(this.name);
    return this.options.captureStack ? make() : withoutStack(make);
  }

  #reject(): void {
    this.calls.rejected++;
    const { events } = this.runtime;
    if (events?.listening !== true) return;
    const { name, limit } = this;
    events.emit('adaptive-limit.rejected', { id: `adaptiveLimit:${name}`, name }, { limit });
  }

  /** A call has succeeded: its latency tells. */
  answered({ startedAt, period }: AdmittedCall): void {
    const now = this.runtime.clock.now();
    if (period !== this.#period) return;
    this.#window.answered(now - startedAt);
    this.#turn(now);
  }

  /** A call has failed: as a drop, or for reasons of its own, which tell nothing of the load. */
  failed({ period }: AdmittedCall, error: unknown): void {
    if (!this.#isDrop(error)) {
      this.calls.ignored++;
      return;
    }
    this.calls.dropped++;
    if (period !== this.#period) return;
    this.#window.dropped();
    this.#turn(this.runtime.clock.now());
  }

  /** A call was given up, which tells nothing. */
  abandoned(): void {
    this.calls.ignored++;
  }

  /** Gives one slot back. */
  release(): void {
    this.inUse--;
  }

  /** For a call that was none; that it was abandoned is still to be told. */
  uncount(): void {
    this.calls.accepted--;
    this.calls.ignored--;
  }

  #isDrop(error: unknown): boolean {
    try {
      return this.#tellsOfOverload(error);
    } catch (thrown) {
      this.#report('dropOn threw; the call counts as dropped', thrown);
      return true;
    }
  }

  /** Draws the conclusions of a full window and opens the next. */
  #turn(now: number): void {
    const { limit } = this;
    const { minimumCalls } = this.options;
    // A probe may let through very few at once: it is content with one round of calls.
    const calls = this.probing ? Math.min(limit, minimumCalls) : minimumCalls;
    if (!this.#window.isFull(now, this.#windowLength, calls)) return;
    if (this.#probe !== undefined) this.#probed(this.#probe, now);
    else if (this.gradient.update(this.#window.sample) && now >= this.#nextProbeAt) {
      this.#beginProbe(now);
    }
    this.#window.open(now, this.inUse);
  }

  get #windowLength(): number {
    return Math.max(this.options.window, LATENCIES_PER_WINDOW * (this.gradient.longRtt ?? 0));
  }

  #beginProbe(now: number): void {
    const { limit, longRtt } = this.gradient;
    const first = this.#nextProbeAt === -Infinity; // nothing was measured without load so far
    const endsAt = now + WINDOWS_PER_PROBE * this.#windowLength;
    this.#probe = new Probe(limit, this.options.minLimit, first ? undefined : longRtt, endsAt);
    this.#period++;
  }

  #probed(probe: Probe, now: number): void {
    const { rtt } = this.#window.sample;
    if (rtt !== undefined) this.gradient.longRtt = rtt;
    if (rtt !== undefined && probe.goesOn(rtt, this.options.tolerance)) this.#period++;
    else this.#endProbe(now);
  }

  #endProbe(now: number): void {
    const { probeInterval } = this.options;
    this.#nextProbeAt = now + probeInterval * (1 + PROBE_JITTER * this.runtime.random());
    this.#probe = undefined;
    this.#period++;
    this.#window.open(now, this.inUse);
  }

  #queueSize(limit: number): number {
    const { queueSize } = this.options;
    if (typeof queueSize === 'number') return queueSize;
    try {
      const size = decided(queueSize(limit));
      if (size >= 0 && Number.isFinite(size)) return size;
      this.#report('queueSize gave no finite number of at least 0; 0 is used', size);
    } catch (thrown) {
      this.#report('queueSize threw; 0 is used', thrown);
    }
    return 0;
  }

  #report(what: string, thrown: unknown): void {
    this.runtime.logger.error(`Adaptive limit "${this.name}": ${what}`, thrown);
  }
}

/** One call that was let through: its slot, and what its end tells. */
export class AdmittedCall extends BoundPass {
  constructor(
    private readonly limiter: AdaptiveLimiter,
    readonly startedAt: number,
    readonly period: number,
  ) {
    super();
  }

  succeed(): void {
    this.limiter.release();
    this.limiter.answered(this);
  }

  fail(error: unknown): void {
    this.limiter.release();
    this.limiter.failed(this, error);
  }

  release(): void {
    this.limiter.release();
    this.limiter.abandoned();
  }

  uncount(): void {
    this.limiter.uncount();
  }
}
