import type { CircuitBreaker, Logger, RuntimeOptions } from 'nestjs-bulwark/core';
import { FakeClock } from 'nestjs-bulwark/testing';

/** Keeps what was logged. */
export class LogRecorder implements Logger {
  readonly errors: { message: string; cause: unknown }[] = [];
  readonly warnings: string[] = [];

  error(message: string, cause?: unknown): void {
    this.errors.push({ message, cause });
  }

  warn(message: string): void {
    this.warnings.push(message);
  }
}

/** Time, chance and log under the test's control; `random` starts in the middle: no jitter. */
export class Lab {
  readonly clock = new FakeClock();
  readonly logger = new LogRecorder();
  random = 0.5;
  readonly runtime: RuntimeOptions = {
    clock: this.clock,
    logger: this.logger,
    random: () => this.random,
  };

  /** Lets every wait go by, and gives what `work` came to. */
  async outcomeOf<T>(work: PromiseLike<T>): Promise<Outcome<T>> {
    const outcome = settled(work);
    await this.clock.runAll();
    return outcome;
  }

  async errorOf(work: PromiseLike<unknown>): Promise<unknown> {
    const outcome = await this.outcomeOf(work);
    if ('error' in outcome) return outcome.error;
    throw new Error(`Expected an error, got the value ${String(outcome.value)}`);
  }

  async resultOf<T>(work: PromiseLike<T>): Promise<T> {
    const outcome = await this.outcomeOf(work);
    if ('value' in outcome) return outcome.value;
    throw outcome.error;
  }
}

export type Outcome<T> = { value: T } | { error: unknown };

export function settled<T>(work: PromiseLike<T>): Promise<Outcome<T>> {
  return Promise.resolve(work).then(
    (value) => ({ value }),
    (error: unknown) => ({ error }),
  );
}

export interface Deferred<T = unknown> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

export function deferred<T = unknown>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((...settle) => {
    [resolve, reject] = settle;
  });
  return { promise, resolve, reject };
}

export function coded(code: string, message = code): Error {
  return Object.assign(new Error(message), { code });
}

/** What a function throws, or a complaint that it does not. */
export function thrownBy(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  throw new Error('Expected a throw');
}

export const down = new Error('down');

/**
 * Plays a history, one letter a call or an event, and gives what came of it:
 * `s` success, `f` failure, `i` an abort, `h` a call that hangs, `w` the recovery time goes by,
 * `r` reset. In the answer `x` is a rejection, for which the work was not called.
 */
export async function play(breaker: CircuitBreaker, history: string, lab: Lab): Promise<string> {
  let seen = '';
  for (const step of history) {
    if (step === 'w') lab.clock.jump(breaker.options.recoveryTimeout as number);
    else if (step === 'r') breaker.reset();
    else seen += await playCall(breaker, step);
  }
  return seen;
}

async function playCall(breaker: CircuitBreaker, step: string): Promise<string> {
  const work = { called: false };
  const running = breaker.execute(() => {
    work.called = true;
    if (step === 's') return 'fine';
    if (step === 'f') throw down;
    if (step === 'i') throw new DOMException('given up', 'AbortError');
    if (step === 'h') return new Promise<string>(() => undefined);
    throw new Error(`No such step: ${step}`);
  });
  const outcome = settled(running);
  if (step !== 'h') await outcome;
  return work.called ? step : 'x';
}
