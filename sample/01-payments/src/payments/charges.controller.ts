import { randomUUID } from 'node:crypto';
import { Body, Controller, Headers, ParseFloatPipe, Post } from '@nestjs/common';
import { ChargesService } from './charges.service.js';
import type { Receipt } from './provider.client.js';

@Controller('charges')
export class ChargesController {
  constructor(private readonly charges: ChargesService) {}

  /** The key is made out here, outside the retries, so that all attempts share it. */
  @Post()
  charge(
    @Body('amount', ParseFloatPipe) amount: number,
    @Headers('idempotency-key') idempotencyKey: string = randomUUID(),
  ): Promise<Receipt> {
    return this.charges.charge(amount, idempotencyKey);
  }
}
