import { HttpException, HttpStatus } from '@nestjs/common';
import { isResilienceError } from '../core/errors.js';
import { causeBehind } from './behind-retries.js';

/** What an HTTP client is told; it names no breaker, bulkhead or limiter. */
export interface HttpAnswer {
  readonly status: number;
  readonly body: unknown;
  /** Whole seconds, rounded up. */
  readonly retryAfter?: number;
}

const UNAVAILABLE = 'The service is temporarily unavailable';

/** The answer to an unhandled error of this library; an exhausted retry answers as its cause would have. */
export function httpAnswerTo(error: unknown): HttpAnswer {
  const cause = causeBehind(error);
  if (isResilienceError(cause, 'RATE_LIMITED')) {
    return answer(
      HttpStatus.TOO_MANY_REQUESTS,
      'Too Many Requests',
      'Too many requests',
      cause.retryAfter,
    );
  }
  if (isResilienceError(cause, 'TIMEOUT')) {
    return answer(
      HttpStatus.GATEWAY_TIMEOUT,
      'Gateway Timeout',
      'The service took too long to answer',
    );
  }
  if (isResilienceError(cause, 'INVALID_CONFIG')) {
    return answer(HttpStatus.INTERNAL_SERVER_ERROR, undefined, 'Internal server error');
  }
  if (isHttpException(cause)) return answerOf(cause);
  return unavailable(isResilienceError(cause, 'CIRCUIT_OPEN') ? cause.remainingTimeout : undefined);
}

function answerOf(exception: HttpException): HttpAnswer {
  const response = exception.getResponse();
  const status = exception.getStatus();
  return {
    status,
    body: typeof response === 'string' ? { statusCode: status, message: response } : response,
  };
}

function isHttpException(cause: unknown): cause is HttpException {
  try {
    return cause instanceof HttpException;
  } catch {
    return false; // a hostile Proxy
  }
}

function unavailable(retryAfterMs?: number): HttpAnswer {
  return answer(HttpStatus.SERVICE_UNAVAILABLE, 'Service Unavailable', UNAVAILABLE, retryAfterMs);
}

function answer(
  status: number,
  error: string | undefined,
  message: string,
  retryAfterMs?: number,
): HttpAnswer {
  const body = { statusCode: status, message, ...(error !== undefined && { error }) };
  if (retryAfterMs === undefined) return { status, body };
  return { status, body, retryAfter: Math.ceil(retryAfterMs / 1000) };
}
