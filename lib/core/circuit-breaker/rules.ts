import { type Runtime } from '../runtime.js';
import { Judge } from './judge.js';
import type { CircuitState } from '../errors.js';
import type { Machine } from './machine.js';
import type { BreakerOptionsInForce } from './options.js';
import { type FailureWindow, makeWindow } from './windows.js';

/** Breakers that share their rules, one for each key. */
export interface Family {
  /** How a member is called, of which only the key is kept. */
  nameOf(key: string): string;
  /** A member has moved on; it is told before any listener. */
  moved(member: Machine, from: CircuitState): void;
}

/** What decides, and on whose time: one object for a breaker, or for a whole keyed family. */
export class Rules {
  readonly judge: Judge;
  #consecutive: FailureWindow | undefined;
  /** Whether values are to be judged: without an `isFailure` each is a success. */
  readonly judgesValues: boolean;

  constructor(
    /** Of the breaker, or of the family. */
    readonly name: string,
    readonly options: BreakerOptionsInForce,
    readonly runtime: Runtime,
    /** Of the breaker, or of the family. */
    readonly id: string,
    readonly family?: Family,
  ) {
    this.judge = new Judge(options, name, runtime.logger);
    this.judgesValues = options.isFailure !== undefined;
  }

  /** For a closed period that begins. */
  newWindow(): FailureWindow {
    const { window, failureThreshold } = this.options;
    if (window.type !== 'consecutive')
      return makeWindow(window, failureThreshold, this.runtime.clock);
    return (this.#consecutive ??= makeWindow(window, failureThreshold, this.runtime.clock));
  }

  with(options: BreakerOptionsInForce): Rules {
    return new Rules(this.name, options, this.runtime, this.id, this.family);
  }
}
