import { Inject, Injectable, NotFoundException } from '@nestjs/common';
import type { ClientProxy } from '@nestjs/microservices';
import {
  CircuitProtected,
  Fallback,
  InjectPolicy,
  type Policy,
  Retry,
  TimeLimit,
  resilient,
} from 'nestjs-bulwark';
import { Observable, catchError, map, tap } from 'rxjs';

/** The injection token of the client of the price service. */
export const PRICE_SERVICE = 'PRICE_SERVICE';

export interface Price {
  readonly symbol: string;
  readonly price: number;
  /** From an earlier answer. */
  readonly stale: boolean;
}

@Injectable()
export class PricesService {
  readonly #latest = new Map<string, number>();

  constructor(
    @Inject(PRICE_SERVICE) private readonly client: ClientProxy,
    @InjectPolicy('prices') private readonly policy: Policy,
  ) {}

  /** One Observable under an injected policy: each subscription is one call. */
  price(symbol: string): Observable<Price> {
    return this.client.send<number>('price', symbol).pipe(
      resilient(this.policy),
      map((price) => ({ symbol, price, stale: false })),
      catchError(answerForClients),
    );
  }

  /**
   * The same with decorators: a method that returns an Observable. A retry sends the message again, and
   * the fallback gets the error and the arguments.
   */
  @Fallback('latest', { on: (error) => !isUnknownSymbol(error) })
  @Retry('prices')
  @CircuitProtected('prices')
  @TimeLimit('500ms')
  ticks(symbol: string): Observable<Price> {
    return this.client.send<number>('ticks', symbol).pipe(
      tap((price) => this.#latest.set(symbol, price)),
      map((price) => ({ symbol, price, stale: false })),
    );
  }

  latest(error: unknown, symbol: string): Price {
    const price = this.#latest.get(symbol);
    if (price === undefined) throw error;
    return { symbol, price, stale: true };
  }
}

/** What the service says on purpose is an answer, not a failure: neither retried nor counted. */
export function isUnknownSymbol(error: unknown): error is { message: string } {
  return (error as { code?: unknown } | undefined)?.code === 'UNKNOWN_SYMBOL';
}

/** Errors arrive over TCP as plain objects; those that nothing maps are answered with 500. */
export function answerForClients(error: unknown): never {
  throw isUnknownSymbol(error) ? new NotFoundException(error.message) : error;
}
