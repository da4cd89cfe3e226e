import {
  type ArgumentsHost,
  Catch,
  type ContextType,
  type ExceptionFilter,
  Inject,
  Logger,
} from '@nestjs/common';
import { type ApplicationConfig, HttpAdapterHost } from '@nestjs/core';
import { throwError } from 'rxjs';
import type { AbortError } from '../core/cancellation.js';
import { ResilienceError, isOwnAbort } from '../core/errors.js';
import { logCause } from './behind-retries.js';
import { httpAnswerTo } from './http-answer.js';
import { graphqlErrorFor, payloadBehind, rpcAnswerTo, tellSocket } from './message-answers.js';
import type { ResilienceRegistry } from './registry.js';

/** Nest picks filters by `instanceof`; this holds for the aborts of another installed copy too. */
abstract class OwnAbort extends Error {
  static override [Symbol.hasInstance](value: unknown): boolean {
    return isOwnAbort(value);
  }
}

/**
 * Answers unhandled errors of this library over HTTP: 503 for an open circuit or a full bulkhead, 429 for
 * a rate limit, 504 for a time limit, with `Retry-After` where it is known. RPC, GraphQL and WebSocket
 * clients get the same message with the error's code; other transports get the error itself. A wait that
 * a shutdown ended is answered with 503. What a retry gave up on is logged, unless it has an answer of its
 * own. Registered by the module unless `http.mapErrors` is false, behind every filter of the application's
 * own; Nest applies no such filter to gateways, which name it themselves.
 *
 * @example
 * @UseFilters(ResilienceExceptionFilter)
 * @WebSocketGateway()
 * export class PricesGateway {}
 */
@Catch(ResilienceError, OwnAbort)
export class ResilienceExceptionFilter implements ExceptionFilter {
  readonly #logger = new Logger('Resilience');

  constructor(@Inject(HttpAdapterHost) private readonly adapterHost: HttpAdapterHost) {}

  catch(error: ResilienceError | AbortError, host: ArgumentsHost): unknown {
    const type = host.getType<ContextType | 'graphql'>();
    const isTold = (type === 'rpc' || type === 'ws') && payloadBehind(error) !== undefined;
    if (!isTold) logCause(error, this.#logger);
    switch (type) {
      case 'http':
        this.#answer(error, host.switchToHttp().getResponse());
        return undefined;
      case 'rpc':
        return throwError(() => rpcAnswerTo(error));
      case 'ws':
        tellSocket(error, host);
        return undefined;
      case 'graphql':
        throw graphqlErrorFor(error);
      default:
        throw error;
    }
  }

  #answer(error: Error, response: unknown): void {
    const { httpAdapter } = this.adapterHost;
    const { status, body, retryAfter } = httpAnswerTo(error);
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

/**
 * Adds the filter to an application, unless `http.mapErrors` is off. Of global filters Nest asks the last
 * one first, and adds those of APP_FILTER when every provider has been made: this one, added while they
 * are made, is asked after all of the application's own.
 */
export function addExceptionFilter(
  { http }: ResilienceRegistry,
  adapterHost: HttpAdapterHost,
  application: ApplicationConfig,
): void {
  if (!http.mapErrors) return;
  application.addGlobalFilter(new ResilienceExceptionFilter(adapterHost));
}
