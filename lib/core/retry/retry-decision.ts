import {
  type CompiledFilter,
  compileFilter,
  isOwnAnswer,
  nothingSpecial,
} from '../error-filter.js';
import type { Logger } from '../runtime.js';
import { decided } from '../thenable.js';
import type { ResolvedRetryOptions } from './options.js';

/** Which errors and values are worth another attempt. What throws decides "no" and is logged. */
export class RetryDecision {
  readonly #retryOn: CompiledFilter;
  readonly #abortOn: CompiledFilter;
  readonly #retryOnResult: ((value: unknown) => boolean) | undefined;
  /** Whether a value may be worth another attempt, so that it has to be looked at. */
  readonly readsValues: boolean;

  constructor(
    { retryOn, abortOn, retryOnResult }: ResolvedRetryOptions,
    private readonly name: string,
    private readonly logger: Logger,
  ) {
    this.#retryOn = retryOn === undefined ? (error) => !isOwnAnswer(error) : compileFilter(retryOn);
    this.#abortOn = abortOn === undefined ? nothingSpecial : compileFilter(abortOn, nothingSpecial);
    this.#retryOnResult = retryOnResult;
    this.readsValues = retryOnResult !== undefined;
  }

  retriesError(error: unknown): boolean {
    return this.#contained('an error filter', () => !this.#abortOn(error) && this.#retryOn(error));
  }

  retriesValue(value: unknown): boolean {
    return this.#contained(
      'retryOnResult',
      () => decided((this.#retryOnResult as (result: unknown) => unknown)(value)) === true,
    );
  }

  #contained(what: string, decide: () => boolean): boolean {
    try {
      return decide();
    } catch (thrown) {
      this.logger.error(`Retry "${this.name}": ${what} threw; not retried`, thrown);
      return false;
    }
  }
}
