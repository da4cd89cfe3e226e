import type { ServerResponse } from 'node:http';
import { type ExecutionContext, HttpException, createParamDecorator } from '@nestjs/common';

const CLIENT_CLOSED_REQUEST = 499;

/** Injects a signal that is aborted when the client closes its connection before it got an answer. */
export const ClientSignal = createParamDecorator(
  (_data: unknown, context: ExecutionContext): AbortSignal => {
    const response = nodeResponse(context.switchToHttp().getResponse());
    const controller = new AbortController();
    response.once('close', () => {
      if (response.writableFinished) return;
      controller.abort(new HttpException('The client has gone', CLIENT_CLOSED_REQUEST));
    });
    return controller.signal;
  },
);

/** Express hands out Node's own response, Fastify a reply around it. */
function nodeResponse(response: ServerResponse | { raw: ServerResponse }): ServerResponse {
  return 'raw' in response ? response.raw : response;
}
