import { type ArgumentsHost, Catch, type ExceptionFilter, Logger } from '@nestjs/common';
import type { HttpAdapterHost } from '@nestjs/core';
import { throwError } from 'rxjs';
import type { AbortError } from '../core/cancellation.js';
import { ResilienceError, isOwnAbort } from '../core/errors.js';
import { httpAnswerTo, rpcAnswerTo } from './http-answer.js';
import type { ResilienceModuleOptions } from './module-options.js';

/** Nest picks filters by `instanceof`; this holds for the aborts of another installed copy too. */
abstract class OwnAbort extends Error {
  static override [Symbol.hasInstance](value: unknown): boolean {
    return isOwnAbort(value);
  }
}

/**
 * Answers unhandled errors of this library over HTTP: 503 for an open circuit or a full bulkhead, 429 for
 * a rate limit, 504 for a time limit, with `Retry-After` where it is known. An RPC caller gets the same
 * message with the error's code; other transports get the error itself. A wait that a shutdown ended is
 * answered with 503. Registered by the module unless `http.mapErrors` is false.
 */
@Catch(ResilienceError, OwnAbort)
export class ResilienceExceptionFilter implements ExceptionFilter {
  readonly #logger = new Logger('Resilience');

  constructor(private readonly adapterHost: HttpAdapterHost) {}

  catch(error: ResilienceError | AbortError, host: ArgumentsHost): unknown {
    if (host.getType() === 'rpc') return throwError(() => rpcAnswerTo(error));
    if (host.getType() !== 'http') throw error;
    this.#answer(error, host.switchToHttp().getResponse());
    return undefined;
  }

  #answer(error: Error, response: unknown): void {
    const { httpAdapter } = this.adapterHost;
    const { status, body, retryAfter } = httpAnswerTo(error);
    if (status === 500) this.#logger.error(error.message, error.stack);
    // A stream that has begun cannot change its status any more.
    if (httpAdapter.isHeadersSent(response)) {
      httpAdapter.end(response);
      return;
    }
    if (retryAfter !== undefined)
      httpAdapter.setHeader(response, 'Retry-After', String(retryAfter));
    httpAdapter.reply(response, body, status);
  }
}

/** Stands where the filter would, when `http.mapErrors` is off: it catches nothing. */
abstract class NeverThrown extends Error {}

@Catch(NeverThrown)
class NoFilter implements ExceptionFilter {
  catch(error: unknown): never {
    throw error;
  }
}

export function resilienceFilter(
  { http }: ResilienceModuleOptions,
  adapterHost: HttpAdapterHost,
): ExceptionFilter {
  return http?.mapErrors === false ? new NoFilter() : new ResilienceExceptionFilter(adapterHost);
}
