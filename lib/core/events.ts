import type { OpeningReport } from './circuit-breaker/opening-report.js';
import type { CircuitState, RetryExhaustedReason } from './errors.js';
import { type Logger, tell } from './runtime.js';

interface StateChanged {
  readonly from: CircuitState;
}
interface Answered {
  readonly error: unknown;
}

/** What each event tells besides who and when. Durations are milliseconds. */
export interface ResilienceEventDetails {
  'breaker.opened': StateChanged & { readonly error?: unknown; readonly opening?: OpeningReport };
  'breaker.half-opened': StateChanged;
  'breaker.closed': StateChanged;
  'breaker.isolated': StateChanged;
  'breaker.disabled': StateChanged;
  'breaker.rejected': { readonly state: CircuitState };
  /** Let through in shadow mode. */
  'breaker.spared': { readonly state: CircuitState };
  /** An attempt failed and another follows after `delay`. */
  'retry.scheduled': Answered & { readonly attempt: number; readonly delay: number };
  'retry.recovered': { readonly attempts: number };
  'retry.exhausted': Answered & {
    readonly attempts: number;
    readonly reason: RetryExhaustedReason;
  };
  'time-limit.exceeded': { readonly limit: number };
  /** In shadow mode: the limit has come, and the caller waits on. */
  'time-limit.spared': { readonly limit: number };
  'bulkhead.rejected': { readonly reason: 'full' | 'queue_timeout' };
  /** Let through in shadow mode. */
  'bulkhead.spared': { readonly reason: 'full' };
  'rate-limit.rejected': { readonly retryAfter: number };
  /** Let through in shadow mode. */
  'rate-limit.spared': { readonly retryAfter: number };
  /** `limit` is what is let through at once now. */
  'adaptive-limit.rejected': { readonly limit: number };
  /** `rejectionRate` is the share of calls held back now, 0..1. */
  'throttle.rejected': { readonly rejectionRate: number };
  'fallback.served': Answered;
  'fallback.failed': Answered & { readonly cause: unknown };
  /** A further try was started; 1-based, the first try not counted. */
  'hedge.started': { readonly hedge: number };
  /** A further try answered first. */
  'hedge.won': { readonly hedge: number };
}
/** The types of events: `'breaker.opened'`, `'retry.exhausted'` and the like. */
export type ResilienceEventType = keyof ResilienceEventDetails;

interface EventHead<T extends ResilienceEventType> {
  /** Counts up by one in each registry, so that a reader can resume after the last it has seen. */
  readonly id: number;
  readonly type: T;
  /** The policy's id: `breaker:payments`. */
  readonly policy: string;
  /** The policy's name: `payments`. */
  readonly name: string;
  /** Milliseconds since the epoch. */
  readonly at: number;
}

/** Something that a policy did: one of a typed union, told apart by `type`. */
export type ResilienceEvent<T extends ResilienceEventType = ResilienceEventType> = {
  [K in T]: EventHead<K> & ResilienceEventDetails[K];
}[T];
/** Told of an event, at once. What it throws, or rejects with, is logged, and changes nothing. */
export type ResilienceEventListener = (event: ResilienceEvent) => void;

/** Who an event is about. A keyed breaker speaks under its family's id, with its own name. */
export interface EventSource {
  readonly id: string;
  readonly name: string;
}

/** Collects what the policies of one registry do. Without listeners and history nothing is built. */
export class EventHub {
  /** The one branch that a policy pays where nobody listens. */
  listening: boolean;
  #listeners: readonly ResilienceEventListener[] = [];
  readonly #recent = new Map<string, ResilienceEvent[]>();
  #lastId = 0;

  /** @param history how many events of each policy are kept; 0 keeps none */
  constructor(
    private readonly wallTime: () => number,
    private readonly logger: Logger,
    private readonly history = 0,
  ) {
    this.listening = history > 0;
  }

  emit<T extends ResilienceEventType>(
    type: T,
    { id: policy, name }: EventSource,
    details: ResilienceEventDetails[T],
  ): void {
    const head = { id: ++this.#lastId, type, policy, name, at: this.wallTime() };
    const event = { ...head, ...details } as unknown as ResilienceEvent;
    this.#keep(event);
    for (const listener of this.#listeners) this.#tell(listener, event);
  }

  /** The result takes it back. */
  listen(listener: ResilienceEventListener): () => void {
    const entry: ResilienceEventListener = (event) => listener(event);
    this.#set([...this.#listeners, entry]);
    return () => this.#set(this.#listeners.filter((each) => each !== entry));
  }

  /** Kept events in the order of their ids: of one policy, or of all; only those after `after`. */
  recent({ policy, after = 0 }: RecentEvents = {}): ResilienceEvent[] {
    const kept =
      policy === undefined ? [...this.#recent.values()].flat() : (this.#recent.get(policy) ?? []);
    return kept.filter(({ id }) => id > after).sort((a, b) => a.id - b.id);
  }

  #keep(event: ResilienceEvent): void {
    if (this.history === 0) return;
    const kept = this.#recent.get(event.policy) ?? [];
    this.#recent.set(event.policy, kept);
    if (kept.length === this.history) kept.shift();
    kept.push(event);
  }

  #tell(listener: ResilienceEventListener, event: ResilienceEvent): void {
    tell(
      () => listener(event),
      (thrown) =>
        this.logger.error(`A listener to "${event.type}" threw; nothing else is affected`, thrown),
    );
  }

  #set(listeners: readonly ResilienceEventListener[]): void {
    this.#listeners = listeners;
    this.listening = this.history > 0 || listeners.length > 0;
  }
}

/** Which of the remembered events to read; without it, all. */
export interface RecentEvents {
  /** A policy's id; default: all policies. */
  readonly policy?: string | undefined;
  /** The id of the last event that the reader has seen. */
  readonly after?: number | undefined;
}
