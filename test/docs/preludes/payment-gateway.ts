import { Injectable } from '@nestjs/common';

export interface Charge {
  readonly orderId: string;
  readonly amount: number;
  readonly idempotencyKey: string;
}

export interface Receipt {
  readonly id: string;
}

/** The remote side of the examples. */
@Injectable()
export class PaymentGateway {
  async charge({ orderId }: Charge): Promise<Receipt> {
    return { id: `receipt-${orderId}` };
  }
}
