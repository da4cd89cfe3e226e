import { isAbortError } from '../cancellation.js';
import {
  type CompiledFilter,
  type ErrorFilter,
  compileFilter,
  nothingSpecial,
} from '../error-filter.js';
import { isRejection } from '../errors.js';
import type { Logger } from '../runtime.js';
import type { ResolvedCircuitBreakerOptions } from './options.js';

/** What one settled call says of the dependency. */
export type Verdict = 'success' | 'failure' | 'nothing';

const isLocalAnswer: CompiledFilter = (error) => isRejection(error) || isAbortError(error);

/** Decides what a result or an error says. A throwing filter or predicate makes it a failure. */
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
        ? (error) => !isRejection(error)
        : compileFilter(failureExceptions, isLocalAnswer);
    this.#ignores = ignoring(ignoreExceptions, failureExceptions !== undefined);
  }

  ofValue(value: unknown): Verdict {
    try {
      return this.#isFailure?.(value) === true ? 'failure' : 'success';
    } catch (thrown) {
      this.#report('isFailure', thrown);
      return 'failure';
    }
  }

  ofError(error: unknown): Verdict {
    try {
      if (this.#ignores(error)) return 'nothing';
      return this.#counts(error) ? 'failure' : 'nothing';
    } catch (thrown) {
      this.#report('an error filter', thrown);
      return 'failure';
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
