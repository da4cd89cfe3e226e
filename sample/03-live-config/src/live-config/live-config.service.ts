import {
  Injectable,
  Logger,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { ResilienceConfigError, ResilienceConfigurator } from 'nestjs-bulwark';
import { ConfigFile } from './config-file.js';

/** Keeps the policies as the file says. What is wrong with a change is logged, and nothing changes. */
@Injectable()
export class LiveConfigService implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #logger = new Logger('LiveConfig');
  #stop: (() => void) | undefined;

  constructor(
    private readonly file: ConfigFile,
    private readonly configurator: ResilienceConfigurator,
  ) {}

  onApplicationBootstrap(): void {
    this.#stop = this.file.watch(() => void this.reload());
  }

  onApplicationShutdown(): void {
    this.#stop?.();
  }

  /** The whole file each time: options that are as they were change nothing. */
  async reload(): Promise<void> {
    try {
      this.configurator.configure(await this.file.read());
      this.#logger.warn(`Took over ${this.file.path}`);
    } catch (error) {
      const issues = error instanceof ResilienceConfigError ? error.issues : [String(error)];
      this.#logger.error(`Nothing has changed: ${issues.join('; ')}`);
    }
  }
}
