import type { EventHub } from './events.js';

/** A timer as the clock hands it out; opaque to policies. */
export interface Timer {
  /** Lets the process end while it is set. */
  unref?(): unknown;
  /** Keeps the process alive again. */
  ref?(): unknown;
}

/** The only source of time. Durations and instants are milliseconds. */
export interface Clock {
  /** Monotonic time; every decision uses it, so a wall-clock step changes nothing. */
  now(): number;
  /** Milliseconds since the epoch, for people and HTTP dates only. */
  wallTime(): number;
  /** Calls once after `delay` milliseconds. */
  setTimeout(callback: () => void, delay: number): Timer;
  /** Takes a timer back that has not gone off; any other is left alone. */
  clearTimeout(timer: Timer): void;
  /** Another value once the timers behind it were exchanged (jest's fake timers): older ones may never fire. */
  timerSource?(): unknown;
  /** Blocks the thread; used by `retrySync` alone. */
  sleepSync(delay: number): void;
}

/** Where the library reports what it contained: a throwing listener, an unknown name. */
export interface Logger {
  /** What has gone wrong and was contained, with what was thrown. */
  error(message: string, cause?: unknown): void;
  /** What is probably a mistake, such as a name that nobody has configured. */
  warn(message: string): void;
  /** What helps to follow the library; may be left out. */
  debug?(message: string): void;
}

/** Tells a listener, whose failure, of its promise too, is reported and changes nothing. */
export function tell(listen: () => unknown, report: (thrown: unknown) => void): void {
  try {
    const result = listen();
    if (typeof result === 'object' && result !== null) Promise.resolve(result).catch(report);
  } catch (thrown) {
    report(thrown);
  }
}

/** What may be replaced, for one policy, one pipeline or one application. */
export interface RuntimeOptions {
  /** Time and timers, in milliseconds: a fake one for tests. Default: those of Node. */
  readonly clock?: Clock | undefined;
  /** Uniform in [0, 1), like `Math.random`. */
  readonly random?: (() => number) | undefined;
  /** Where contained mistakes are told. Default: the console, and the `Logger` of Nest in an application. */
  readonly logger?: Logger | undefined;
  /** Ends the waits and timers that began under it, at shutdown. */
  readonly lifetime?: Lifetime | undefined;
  /** Where policies tell what they do. */
  readonly events?: EventHub | undefined;
}

/** Time, chance and log of a policy. */
export interface Runtime extends RuntimeOptions {
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
}

/** Ends what is still waiting when its owner (an application) shuts down. */
export class Lifetime {
  readonly #endings = new Set<() => void>();
  #ended = false;

  get ended(): boolean {
    return this.#ended;
  }

  /** Calls `ending` once at the end, or at once when it has come; the result takes it back. */
  onEnd(ending: () => void): () => void {
    if (this.#ended) ending();
    else this.#endings.add(ending);
    return () => void this.#endings.delete(ending);
  }

  end(): void {
    this.#ended = true;
    for (const ending of this.#endings) ending();
    this.#endings.clear();
  }
}

const blocked = new Int32Array(new SharedArrayBuffer(4));

/** The clock of this process: monotonic, and Node's own timers; looked up at call time, so that fake ones are used. */
export const systemClock: Clock = {
  now: () => performance.now(),
  wallTime: () => Date.now(),
  setTimeout: (callback, delay) => setTimeout(callback, delay),
  clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout),
  timerSource: () => setTimeout,
  sleepSync: (delay) => void Atomics.wait(blocked, 0, 0, delay),
};

/** Milliseconds since the epoch of a written date; NaN where it is none. */
export const parseDate = (text: string): number => Date.parse(text);

const consoleLogger: Logger = {
  error: (message, cause) => console.error(`[Resilience] ${message}`, cause ?? ''),
  warn: (message) => console.warn(`[Resilience] ${message}`),
};

/** The process-wide default: real time, real chance, the console. */
export const defaultRuntime: Runtime = Object.freeze({
  clock: systemClock,
  random: () => Math.random(),
  logger: unfailing(consoleLogger),
});

/** A log that fails must not become the outcome of a call. */
function unfailing(logger: Logger): Logger {
  return {
    error: (message, cause) => tell(() => logger.error(message, cause), ignore),
    warn: (message) => tell(() => logger.warn(message), ignore),
    debug: (message) => tell(() => logger.debug?.(message), ignore),
  };
}
const ignore = (): void => undefined;

/** `options` over `base`; an absent part is the base's. */
export function runtimeWith(options?: RuntimeOptions, base: Runtime = defaultRuntime): Runtime {
  if (!options) return base;
  return Object.freeze({
    clock: options.clock ?? base.clock,
    random: options.random ?? base.random,
    logger: options.logger ? unfailing(options.logger) : base.logger,
    lifetime: options.lifetime ?? base.lifetime,
    events: options.events ?? base.events,
  });
}
