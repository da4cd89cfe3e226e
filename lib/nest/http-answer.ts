import { HttpException, HttpStatus } from '@nestjs/common';
import { isResilienceError } from '../core/errors.js';

/** What an HTTP client is told; it names no breaker, bulkhead or limiter. */
export interface HttpAnswer {
  readonly status: number;
  readonly body: unknown;
  /** Whole seconds, rounded up. */
  readonly retryAfter?: number;
}

const UNAVAILABLE = 'The service is temporarily unavailable';
const MOST_CAUSES = 10;

/** The answer to an unhandled error of this library. */
export function httpAnswerTo(error: unknown, depth = 0): HttpAnswer {
  if (isResilienceError(error, 'RETRY_EXHAUSTED')) {
    return depth < MOST_CAUSES ? answerOfCause(error.cause, depth) : unavailable();
  }
  if (isResilienceError(error, 'RATE_LIMITED')) {
    return answer(
      HttpStatus.TOO_MANY_REQUESTS,
      'Too Many Requests',
      'Too many requests',
      error.retryAfter,
    );
  }
  if (isResilienceError(error, 'TIMEOUT')) {
    return answer(
      HttpStatus.GATEWAY_TIMEOUT,
      'Gateway Timeout',
      'The service took too long to answer',
    );
  }
  if (isResilienceError(error, 'INVALID_CONFIG')) {
    return answer(HttpStatus.INTERNAL_SERVER_ERROR, undefined, 'Internal server error');
  }
  return unavailable(isResilienceError(error, 'CIRCUIT_OPEN') ? error.remainingTimeout : undefined);
}

/** An exhausted retry answers as its cause would have. */
function answerOfCause(cause: unknown, depth: number): HttpAnswer {
  if (isResilienceError(cause)) return httpAnswerTo(cause, depth + 1);
  if (!isHttpException(cause)) return unavailable();
  const response = cause.getResponse();
  const status = cause.getStatus();
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
