import { isAsyncFunction } from 'node:util/types';
import { isAbortError } from './cancellation.js';
import { isRejection, isResilienceError } from './errors.js';
import { decided } from './thenable.js';
import { isTransientError } from './transient-error.js';
import type { Rule } from './validation.js';

/** An error class, for `instanceof`; abstract ones too. */
// `any`: a filter takes the class whatever its constructor takes.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type ErrorClass = abstract new (...args: any[]) => object;

/** An error class (`instanceof`), a string (`error.code`), or a predicate. */
export type ErrorMatcher = ErrorClass | string | ((error: unknown) => boolean);
/**
 * Which errors an option is about: one matcher, or a list of which any may match.
 *
 * @example
 * const refused: ErrorFilter = ['ECONNREFUSED', TimeoutError];
 */
export type ErrorFilter = ErrorMatcher | readonly ErrorMatcher[];

/** A filter ready for use: a local rejection, an exhausted retry or an abort matches only where it is named. */
export type CompiledFilter = (error: unknown) => boolean;

/**
 * Compiles a filter once. It may throw where a predicate does.
 * @param special what neither `Error` nor `isTransientError` names: they name nothing in particular
 */
export function compileFilter(
  filter: ErrorFilter,
  special: CompiledFilter = isOwnAnswer,
): CompiledFilter {
  const matchers = matchersOf(filter).map((matcher) => compileMatcher(matcher, special));
  return (error) => matchers.some((matches) => matches(error));
}

function compileMatcher(matcher: ErrorMatcher, special: CompiledFilter): CompiledFilter {
  if (typeof matcher === 'string') return (error) => codeOf(error) === matcher;
  if (matcher === isTransientError) return (error) => isTransientError(error) && !special(error);
  if (!isClass(matcher)) return (error) => decided(matcher(error));
  if ((matcher as unknown) === Error || (matcher as unknown) === Object) {
    return (error) => error instanceof matcher && !special(error);
  }
  return (error) => error instanceof matcher;
}

/** For a filter that excludes: there `Error` means every error. */
export const nothingSpecial: CompiledFilter = () => false;

/** What is matched only by name: a local rejection, an exhausted retry, an abort. */
export function isOwnAnswer(error: unknown): boolean {
  return isRejection(error) || isResilienceError(error, 'RETRY_EXHAUSTED') || isAbortError(error);
}

/** An ErrorFilter option, checked: classes, codes and predicates. */
export function errorFilter(): Rule<ErrorFilter> {
  return (value) =>
    matchersOf(value as ErrorFilter).every(isMatcher)
      ? { value: ownCopy(value as ErrorFilter) }
      : {
          problem:
            'must be an error class, an error code, a predicate (not async), or a list of these',
        };
}

/** A list may be changed later by whoever wrote it. */
function ownCopy(filter: ErrorFilter): ErrorFilter {
  return Array.isArray(filter) ? Object.freeze([...(filter as ErrorMatcher[])]) : filter;
}

function matchersOf(filter: ErrorFilter): readonly ErrorMatcher[] {
  return Array.isArray(filter) ? (filter as readonly ErrorMatcher[]) : [filter as ErrorMatcher];
}

function isMatcher(value: unknown): boolean {
  if (typeof value === 'string') return value !== '';
  // A promise is always truthy: an async predicate would match everything.
  return typeof value === 'function' && !isAsyncFunction(value);
}

function isClass(matcher: ErrorMatcher): matcher is ErrorClass {
  const prototype = Object.getOwnPropertyDescriptor(matcher, 'prototype');
  if (prototype === undefined) return false; // an arrow function or a method
  return prototype.writable === false || prototype.value instanceof Error;
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | null | undefined)?.code;
}
