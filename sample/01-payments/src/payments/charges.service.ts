import { Injectable } from '@nestjs/common';
import { CircuitProtected, Retry } from 'nestjs-bulwark';
import { ProviderClient, type Receipt } from './provider.client.js';

@Injectable()
export class ChargesService {
  constructor(private readonly provider: ProviderClient) {}

  /**
   * Each attempt passes the circuit breaker, and an open circuit ends the retries at once.
   * The key makes it safe to try again: the provider never makes the same charge twice.
   */
  @Retry('provider')
  @CircuitProtected('payments')
  charge(amount: number, idempotencyKey: string): Promise<Receipt> {
    return this.provider.charge(amount, idempotencyKey);
  }
}
