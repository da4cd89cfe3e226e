import { type DynamicModule, Module } from '@nestjs/common';
import { ConfigFile } from './config-file.js';
import { LiveConfigService } from './live-config.service.js';
import { ResilienceController } from './resilience.controller.js';

@Module({})
export class LiveConfigModule {
  static register(path: string): DynamicModule {
    return {
      module: LiveConfigModule,
      controllers: [ResilienceController],
      providers: [
        { provide: ConfigFile, useFactory: () => new ConfigFile(path) },
        LiveConfigService,
      ],
      exports: [ConfigFile],
    };
  }
}
