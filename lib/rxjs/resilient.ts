import type { Observable, OperatorFunction } from 'rxjs';
import type { Policy } from '../core/policy.js';
import { protectObservable } from './observable-adapter.js';

/**
 * Runs each subscription to the source as one call under `policy`.
 *
 * @example
 * const prices$ = client.send('prices', {}).pipe(resilient(pipeline(timeLimit('2s'), breaker)));
 */
export function resilient<T>(policy: Policy): OperatorFunction<T, T> {
  return (source) => protectObservable(policy.compiled(), () => source) as Observable<T>;
}
