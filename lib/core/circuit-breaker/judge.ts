import { isAbortError } from '../cancellation.js';
import {
  type CompiledFilter,
  type ErrorFilter,
  compileFilter,
  nothingSpecial,
} from '../error-filter.js';
import { isRejection } from '../errors.js';
import type { Logger } from '../runtime.js';
import { decided } from '../thenable.js';
import type { ResolvedCircuitBreakerOptions } from './options.js';

const isLocalAnswer: CompiledFilter = (error) => isRejection(error) || isAbortError(error);
const isNoRejection: CompiledFilter = (error) => !isRejection(error);

/** Decides what counts as a failure. A throwing filter or predicate makes it one. */
export class Judge {
  readonly #isFailure: ((result: unknown) => boolean) | undefined;
  readonly #counts: CompiledFilter;
  readonly #ignores: CompiledFilter;

  constructor(
    options: ResolvedCircuitBreakerOptions,
    private readonly name: string,
    private readonly logger: Logger,
  ) {
    const { failureExceptions, ignoreExceptions, isFailure } = options;
    this.#isFailure = isFailure;
    this.#counts =
      failureExceptions === undefined
        ? isNoRejection
        : compileFilter(failureExceptions, isLocalAnswer);
    this.#ignores = ignoring(ignoreExceptions, failureExceptions !== undefined);
  }

  /** To be asked only where there is an `isFailure`: without one a value is a success. */
  isFailure(value: unknown): boolean {
    try {
      return decided((this.#isFailure as (result: unknown) => unknown)(value)) === true;
    } catch (thrown) {
      this.#report('isFailure', thrown);
      return true;
    }
  }

  /** Whether an error counts; one that does not says nothing of the dependency. */
  counts(error: unknown): boolean {
    try {
      return !this.#ignores(error) && this.#counts(error);
    } catch (thrown) {
      this.#report('an error filter', thrown);
      return true;
    }
  }

  #report(what: string, thrown: unknown): void {
    this.logger.error(
      `Circuit breaker "${this.name}": ${what} threw; the call counts as a failure`,
      thrown,
    );
  }
}

/** Aborts stay ignored beside a filter of one's own, unless the failures are listed too. */
function ignoring(filter: ErrorFilter | undefined, failuresListed: boolean): CompiledFilter {
  if (filter === undefined) return isAbortError;
  const named = compileFilter(filter, nothingSpecial);
  return failuresListed ? named : (error) => named(error) || isAbortError(error);
}
