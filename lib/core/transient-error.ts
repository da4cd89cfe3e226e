const NETWORK_CODES = new Set<unknown>([
  'ECONNRESET',
  'ECONNREFUSED',
  'ECONNABORTED', // also a time-out of axios
  'ETIMEDOUT',
  'EPIPE',
  'EAI_AGAIN',
  'ENETUNREACH',
  'EHOSTUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
  'UND_ERR_HEADERS_TIMEOUT',
  'UND_ERR_BODY_TIMEOUT',
  'UND_ERR_SOCKET',
  'TIMEOUT', // our own TimeoutError, from whichever copy
]);
const STATUSES = new Set<unknown>([408, 425, 429, 500, 502, 503, 504]);
const FETCH_FAILURES = new Set(['fetch failed', 'terminated', 'network error']);
const MOST_CAUSES = 10;

export interface Suspect {
  code?: unknown;
  name?: unknown;
  message?: unknown;
  cause?: unknown;
  status?: unknown;
  statusCode?: unknown;
  getStatus?: unknown;
  response?: { status?: unknown; statusCode?: unknown } | null;
}

/**
 * Whether trying again may help: Node's network codes, `TimeoutError`, fetch's network `TypeError`, and
 * HTTP 408, 425, 429, 500, 502, 503, 504 found as `status`, `statusCode`, `getStatus()` or
 * `response.status`. Looks through `cause`. Never throws.
 */
export function isTransientError(error: unknown): boolean {
  return someCause(error, looksTransient);
}

/** Whether `looks` holds for the error or for a cause of it; a hostile getter tells nothing. */
export function someCause(error: unknown, looks: (suspect: Suspect) => boolean): boolean {
  let suspect = error;
  try {
    for (let depth = 0; depth < MOST_CAUSES; depth++) {
      if (typeof suspect !== 'object' || suspect === null) return false;
      if (looks(suspect)) return true;
      suspect = (suspect as Suspect).cause;
    }
  } catch {
    // A hostile getter.
  }
  return false;
}

function looksTransient(error: Suspect): boolean {
  return (
    NETWORK_CODES.has(error.code) ||
    error.name === 'TimeoutError' ||
    (error.name === 'TypeError' && FETCH_FAILURES.has(String(error.message))) ||
    statusesOf(error).some((status) => STATUSES.has(status))
  );
}

export function statusesOf(error: Suspect): unknown[] {
  const { status, statusCode, response } = error;
  const own =
    typeof error.getStatus === 'function' ? (error.getStatus as () => unknown)() : undefined;
  return [status, statusCode, own, response?.status, response?.statusCode];
}
