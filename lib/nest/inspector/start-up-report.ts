import { Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { ResilienceConfigError } from '../../core/errors.js';
import type { ResilienceModuleOptions } from '../module-options.js';
import type { ResilienceInspector } from './inspector.js';

/** Logs the report at debug level when the application starts; in strict mode warnings stop the start. */
export class StartUpReport implements OnApplicationBootstrap {
  readonly #logger = new Logger('Resilience');

  constructor(
    private readonly inspector: ResilienceInspector,
    private readonly options: ResilienceModuleOptions,
  ) {}

  /** @throws ResilienceConfigError in strict mode, with every warning */
  onApplicationBootstrap(): void {
    if (this.options.strict === true) this.#refuseWarnings();
    if (mayLogDebug()) this.#logger.debug(this.inspector.table());
  }

  #refuseWarnings(): void {
    const { warnings } = this.inspector.report();
    if (warnings.length === 0) return;
    throw new ResilienceConfigError(
      warnings.map(({ method, rule, message }) => `${method} [${rule}] ${message}`),
    );
  }
}

/** Nest 11 says of every level that it is off while none has been chosen; its logger knows better. */
function mayLogDebug(): boolean {
  return Logger.isLevelEnabled('debug') || !Logger.isLevelEnabled('fatal');
}
