import { Controller, Get } from '@nestjs/common';
import { ClientSignal } from './client-signal.decorator.js';
import { ExchangeRatesService, type KnownRates } from './exchange-rates.service.js';

@Controller('exchange-rates')
export class ExchangeRatesController {
  constructor(private readonly exchangeRates: ExchangeRatesService) {}

  @Get()
  find(@ClientSignal() signal: AbortSignal): Promise<KnownRates> {
    return this.exchangeRates.find(signal);
  }
}
