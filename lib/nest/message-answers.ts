import type { ArgumentsHost } from '@nestjs/common';
import { STATUS_CODES } from 'node:http';
import type { AbortError } from '../core/cancellation.js';
import { type ResilienceError, withoutStack } from '../core/errors.js';
import { httpAnswerTo } from './http-answer.js';

type OwnError = ResilienceError | AbortError;

/** What an RPC client is told, in the shape of Nest's own RPC errors. */
export function rpcAnswerTo(error: OwnError): object {
  const { body, retryAfter } = httpAnswerTo(error);
  const { message } = body as { message?: unknown };
  return { status: 'error', message, ...codeOf(error, retryAfter) };
}

/** The error that a GraphQL server puts into its answer: it shows the message and the extensions. */
export function graphqlErrorFor(error: OwnError): Error {
  const { status, body, retryAfter } = httpAnswerTo(error);
  const { message = STATUS_CODES[status] } = body as { message?: unknown };
  const text = Array.isArray(message) ? message.join(', ') : String(message);
  const shown = withoutStack(() => new Error(text, { cause: error }));
  return Object.assign(shown, { extensions: codeOf(error, retryAfter) });
}

/** Tells a WebSocket client as Nest does: an `exception` message that says which of its own it answers. */
export function tellSocket(error: OwnError, host: ArgumentsHost): void {
  const ws = host.switchToWs();
  const cause = { pattern: ws.getPattern(), data: ws.getData<unknown>() };
  const data = { ...rpcAnswerTo(error), cause };
  const client = ws.getClient<Socket>();
  // A native WebSocket is an EventEmitter too, but what it emits stays here.
  if (client.readyState === undefined) client.emit?.('exception', data);
  else client.send?.(JSON.stringify({ event: 'exception', data }));
}

/** One of Socket.IO, or a native one. */
interface Socket {
  readonly readyState?: number;
  emit?(event: string, data: object): void;
  send?(message: string): void;
}

function codeOf({ code }: OwnError, retryAfter: number | undefined): object {
  return { code, ...(retryAfter !== undefined && { retryAfter: retryAfter * 1000 }) };
}
