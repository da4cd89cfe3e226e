import { type Suspect, statusesOf, someCause } from './transient-error.js';

const CODES = new Set<unknown>([
  'ECONNREFUSED',
  'ETIMEDOUT',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'TIMEOUT', // our own TimeoutError, from whichever copy
]);
const STATUSES = new Set<unknown>([429, 503, 504]);

/**
 * Whether a dependency has told that it can take no more, or was too slow to tell anything: HTTP 429, 503
 * and 504 (found as `isTransientError` finds them), time-outs, a refused connection. Looks through `cause`.
 * Never throws.
 */
export function isOverloadError(error: unknown): boolean {
  return someCause(error, tellsOfOverload);
}

function tellsOfOverload(error: Suspect): boolean {
  return (
    CODES.has(error.code) ||
    error.name === 'TimeoutError' ||
    statusesOf(error).some((status) => STATUSES.has(status))
  );
}
