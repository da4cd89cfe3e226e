import { type DynamicModule, Module } from '@nestjs/common';
import { ResilienceModule, type RuntimeOptions } from 'nestjs-bulwark';
import { ConfigFile } from './live-config/config-file.js';
import { LiveConfigModule } from './live-config/live-config.module.js';
import { QuotesModule } from './quotes/quotes.module.js';

export interface AppOptions {
  /** The file with the options. */
  readonly config: string;
  /** For tests: another clock. */
  readonly runtime?: RuntimeOptions;
}

@Module({})
export class AppModule {
  static register({ config, runtime }: AppOptions): DynamicModule {
    const liveConfig = LiveConfigModule.register(config);
    return {
      module: AppModule,
      imports: [
        // What is wrong in the file when the application starts keeps it from starting.
        ResilienceModule.forRootAsync({
          imports: [liveConfig],
          inject: [ConfigFile],
          useFactory: async (file: ConfigFile) => ({
            ...(await file.read()),
            policies: { quotes: { circuitBreaker: 'supplier', bulkhead: 'supplier' } },
            runtime,
          }),
        }),
        liveConfig,
        QuotesModule,
      ],
    };
  }
}
