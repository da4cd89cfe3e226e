import { IntrinsicException, type Logger } from '@nestjs/common';
import { isOwnAbort, isResilienceError } from '../core/errors.js';
import { oneLine } from '../core/one-line.js';

const MOST_CAUSES = 10;

/** What retries gave up on, and retries around them; any other error is its own cause. */
export function causeBehind(error: unknown): unknown {
  let cause = error;
  for (let depth = 0; depth < MOST_CAUSES; depth++) {
    if (!isResilienceError(cause, 'RETRY_EXHAUSTED')) return cause;
    ({ cause } = cause);
  }
  return cause;
}

/** Logs what is behind an error, where its answer does not tell and somebody has to mend it. */
export function logCause(error: Error, logger: Logger): void {
  const cause = causeBehind(error);
  if (isResilienceError(cause, 'INVALID_CONFIG')) logger.error(cause.message, cause.stack);
  if (isExpected(cause)) return;
  logger.error(`${error.message}: ${readable(cause, oneLine)}`, readable(cause, traceOf));
}

/** What an answer is made of, or Nest itself would not log. */
function isExpected(cause: unknown): boolean {
  if (isResilienceError(cause) || isOwnAbort(cause)) return true;
  try {
    return cause instanceof IntrinsicException;
  } catch {
    return false;
  }
}

/** The stacks of an error and of its causes. */
function traceOf(error: unknown): string {
  const stacks: string[] = [];
  let each = error;
  for (let depth = 0; depth < MOST_CAUSES; depth++) {
    const { stack, cause } = (each ?? {}) as { stack?: unknown; cause?: unknown };
    if (typeof stack !== 'string') break;
    stacks.push(stack);
    each = cause;
  }
  return stacks.join('\nCaused by: ');
}

function readable(error: unknown, text: (error: unknown) => string): string {
  try {
    return text(error);
  } catch {
    return 'an error that cannot be read';
  }
}
