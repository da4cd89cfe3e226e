import { type Runtime } from '../runtime.js';
import { Judge } from './judge.js';
import type { BreakerOptionsInForce } from './options.js';

/** What decides, and on whose time: one object for a breaker, or for a whole keyed family. */
export class Rules {
  readonly judge: Judge;

  constructor(
    /** Of the breaker, or of the family. */
    readonly name: string,
    readonly options: BreakerOptionsInForce,
    readonly runtime: Runtime,
    /** Of the breaker, or of the family. */
    readonly id: string,
    /** How a member of a family is called, of which only the key is kept. */
    readonly nameOf: (key: string) => string = () => name,
  ) {
    this.judge = new Judge(options, name, runtime.logger);
  }

  with(options: BreakerOptionsInForce): Rules {
    return new Rules(this.name, options, this.runtime, this.id, this.nameOf);
  }
}
