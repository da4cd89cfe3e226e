import { type Clock, type Runtime, parseDate, systemClock } from '../runtime.js';
import type { ResolvedRetryOptions } from './options.js';

const LEAST_SPREAD = 0.1;

interface Answer {
  retryAfter?: unknown;
  headers?: unknown;
  response?: Answer | null;
}

/**
 * How long the failing side asked to wait, in milliseconds: the error's `retryAfter` (ms), or a
 * `retry-after` header (seconds or an HTTP date, RFC 9110 section 10.2.3) on it or on its `response`.
 * Never throws.
 */
export function retryAfterOf(error: unknown, clock: Clock = systemClock): number | undefined {
  try {
    const own = (error ?? {}) as Answer;
    const asked = own.retryAfter;
    if (typeof asked === 'number' && asked >= 0) return finite(asked);
    return parseHeader(headerOf(own.headers) || headerOf((own.response ?? {}).headers), clock);
  } catch {
    // A hostile getter asks for nothing.
  }
  return undefined;
}

/** The wait that `error` asks for, spread upwards so that not all come back in one instant; 0 where it asks for none. */
export function leastDelay(
  { respectRetryAfter, jitter, maxDelay }: ResolvedRetryOptions,
  error: unknown,
  { clock, random }: Runtime,
): number {
  const asked = respectRetryAfter ? retryAfterOf(error, clock) : undefined;
  if (asked === undefined) return 0;
  const spread = typeof jitter === 'number' ? jitter : LEAST_SPREAD;
  return Math.min(maxDelay, asked * (1 + spread * random()));
}

/** Empty where there is none. From fetch's `Headers`, or a plain object in any case, as axios and Node give them. */
function headerOf(headers: unknown): string {
  if (typeof headers !== 'object' || headers === null) return '';
  const { get } = headers as { get?: unknown };
  const value: unknown =
    typeof get === 'function'
      ? (get as (name: string) => unknown).call(headers, 'retry-after')
      : Object.entries(headers).find(([name]) => name.toLowerCase() === 'retry-after')?.[1];
  const first: unknown = Array.isArray(value) ? value[0] : value;
  return typeof first === 'string' || typeof first === 'number' ? String(first) : '';
}

function parseHeader(header: string, clock: Clock): number | undefined {
  const text = header.trim();
  if (/^\d{1,9}(\.\d+)?$/.test(text)) return Number(text) * 1000;
  if (!/^[A-Za-z]{3}/.test(text) || text.length > 64) return undefined;
  return finite(Math.max(0, parseDate(text) - clock.wallTime()));
}

function finite(ms: number): number | undefined {
  return Number.isFinite(ms) ? ms : undefined;
}
