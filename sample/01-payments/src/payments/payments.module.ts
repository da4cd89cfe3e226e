import { type DynamicModule, Module } from '@nestjs/common';
import { ChargesController } from './charges.controller.js';
import { ChargesService } from './charges.service.js';
import { ExchangeRatesController } from './exchange-rates.controller.js';
import { ExchangeRatesService } from './exchange-rates.service.js';
import { ProviderClient } from './provider.client.js';
import { ReceiptsController } from './receipts.controller.js';

@Module({})
export class PaymentsModule {
  static register(providerUrl: string): DynamicModule {
    return {
      module: PaymentsModule,
      controllers: [ChargesController, ReceiptsController, ExchangeRatesController],
      providers: [
        { provide: ProviderClient, useFactory: () => new ProviderClient(providerUrl) },
        ChargesService,
        ExchangeRatesService,
      ],
    };
  }
}
