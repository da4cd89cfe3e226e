import { remainingTime } from './context.js';

/** The header in which a caller says how many milliseconds it will wait. */
export const DEADLINE_HEADER = 'x-request-timeout-ms';

/**
 * Headers for an outgoing call that hand on what is left of the running call's deadline; empty without
 * one. The callee's interceptor makes it its own deadline, so that nobody works for a caller who left.
 *
 * @example
 * await fetch(url, { signal: currentSignal(), headers: { ...deadlineHeaders() } });
 * @param name the header; default `x-request-timeout-ms`
 */
export function deadlineHeaders(name = DEADLINE_HEADER): Record<string, string> {
  const left = remainingTime();
  return left === undefined ? {} : { [name]: String(Math.max(1, Math.floor(left))) };
}
