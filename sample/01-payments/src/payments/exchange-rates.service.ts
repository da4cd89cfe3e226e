import { Injectable } from '@nestjs/common';
import { CircuitBreaker, CircuitBreakerError, InjectCircuitBreaker } from 'nestjs-bulwark';
import { type ExchangeRates, ProviderClient } from './provider.client.js';

export interface KnownRates extends ExchangeRates {
  /** From an earlier answer: the circuit is open. */
  readonly stale: boolean;
}

@Injectable()
export class ExchangeRatesService {
  #latest: ExchangeRates | undefined;

  constructor(
    @InjectCircuitBreaker('payments') private readonly payments: CircuitBreaker,
    private readonly provider: ProviderClient,
  ) {}

  /** @param signal gives the call up: the breaker takes that for neither a success nor a failure */
  async find(signal: AbortSignal): Promise<KnownRates> {
    try {
      const rates = await this.payments.execute(() => this.provider.exchangeRates(), { signal });
      this.#latest = rates;
      return { ...rates, stale: false };
    } catch (error) {
      if (error instanceof CircuitBreakerError && this.#latest) {
        return { ...this.#latest, stale: true };
      }
      throw error;
    }
  }
}
