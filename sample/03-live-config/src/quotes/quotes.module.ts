import { Module } from '@nestjs/common';
import { QuotesController } from './quotes.controller.js';
import { QuotesService } from './quotes.service.js';
import { Supplier } from './supplier.js';

@Module({
  controllers: [QuotesController],
  providers: [QuotesService, Supplier],
  exports: [Supplier],
})
export class QuotesModule {}
