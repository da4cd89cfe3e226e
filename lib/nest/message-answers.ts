import type { ArgumentsHost } from '@nestjs/common';
import { STATUS_CODES } from 'node:http';
import type { AbortError } from '../core/cancellation.js';
import type { ResilienceError } from '../core/errors.js';
import { causeBehind } from './behind-retries.js';
import { httpAnswerTo } from './http-answer.js';
import { withoutStack } from '../core/without-stack.js';

type OwnError = ResilienceError | AbortError;

/** What a retry gave up on, where that says itself what clients are told: Nest's RpcException and WsException. */
export function payloadBehind(error: OwnError): unknown {
  try {
    const cause = causeBehind(error) as { getError?: () => unknown } | undefined | null;
    return typeof cause?.getError === 'function' ? cause.getError() : undefined;
  } catch {
    return undefined; // a hostile Proxy
  }
}

/** What an RPC client is told, in the shape of Nest's own RPC errors. */
export function rpcAnswerTo(error: OwnError): object {
  const payload = payloadBehind(error);
  if (isObject(payload)) return payload;
  if (payload !== undefined) return { status: 'error', message: payload };
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
  const payload = payloadBehind(error);
  const data = isObject(payload) ? payload : { ...rpcAnswerTo(error), cause };
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

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

function codeOf({ code }: OwnError, retryAfter: number | undefined): object {
  return { code, ...(retryAfter !== undefined && { retryAfter: retryAfter * 1000 }) };
}
