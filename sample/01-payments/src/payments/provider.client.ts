import { BadGatewayException, HttpException } from '@nestjs/common';
import { currentSignal, timeLimit } from 'nestjs-bulwark';

export interface Receipt {
  readonly id: string;
  readonly amount: number;
}

export interface ExchangeRates {
  readonly base: string;
  readonly rates: Readonly<Record<string, number>>;
}

/** Speaks HTTP with the payment provider; it knows nothing of retries and circuits. */
export class ProviderClient {
  /** Of one request: retries get it anew. */
  readonly #limit = timeLimit('2s');

  constructor(private readonly url: string) {}

  charge(amount: number, idempotencyKey: string): Promise<Receipt> {
    return this.#request<Receipt>('/charges', {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'idempotency-key': idempotencyKey },
      body: JSON.stringify({ amount }),
    });
  }

  receipt(id: string): Promise<Receipt> {
    return this.#request<Receipt>(`/receipts/${encodeURIComponent(id)}`);
  }

  exchangeRates(): Promise<ExchangeRates> {
    return this.#request<ExchangeRates>('/exchange-rates');
  }

  #request<T>(path: string, init?: RequestInit): Promise<T> {
    return this.#limit.execute(() => this.#fetch(path, init)) as Promise<T>;
  }

  async #fetch(path: string, init?: RequestInit): Promise<unknown> {
    // Aborted when nobody waits for this attempt any more.
    const signal = currentSignal();
    try {
      const response = await fetch(this.url + path, { ...init, signal });
      const body: unknown = await response.json();
      if (!response.ok) throw refusal(response.status, body);
      return body;
    } catch (error) {
      if (error instanceof HttpException || signal?.aborted) throw error;
      throw new BadGatewayException('The payment provider cannot be reached', { cause: error });
    }
  }
}

/** The provider's 4xx are for our client; its 5xx are faults of its own. */
function refusal(status: number, body: unknown): HttpException {
  if (status >= 500) return new BadGatewayException('The payment provider failed');
  const { message } = body as { message: string };
  return new HttpException({ statusCode: status, message }, status);
}
