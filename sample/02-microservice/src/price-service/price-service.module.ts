import { Module } from '@nestjs/common';
import { PricesHandlers } from './prices.handlers.js';

/** Stands in for a microservice of another team; it knows nothing of resilience. */
@Module({ controllers: [PricesHandlers] })
export class PriceServiceModule {}
