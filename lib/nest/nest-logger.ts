import { Logger as NestLogger } from '@nestjs/common';
import type { Logger } from '../core/runtime.js';

/** Nest's own logger, with the context `Resilience`. */
export function nestLogger(): Logger {
  const logger = new NestLogger('Resilience');
  return {
    error: (message, cause) => logger.error(message, cause instanceof Error ? cause.stack : cause),
    warn: (message) => logger.warn(message),
    debug: (message) => logger.debug(message),
  };
}
