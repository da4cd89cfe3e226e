import { Controller, Get, Param, UseInterceptors } from '@nestjs/common';
import { ResilienceInterceptor } from 'nestjs-bulwark';
import { ProviderClient, type Receipt } from './provider.client.js';

/** One policy around every handler: fit for reads, which may be repeated as they are. */
@Controller('receipts')
@UseInterceptors(ResilienceInterceptor('reads'))
export class ReceiptsController {
  constructor(private readonly provider: ProviderClient) {}

  @Get(':id')
  find(@Param('id') id: string): Promise<Receipt> {
    return this.provider.receipt(id);
  }
}
