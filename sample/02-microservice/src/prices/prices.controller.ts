import { Controller, Get, Inject, Param, Post } from '@nestjs/common';
import type { ClientProxy } from '@nestjs/microservices';
import { CircuitBreakerRegistry } from 'nestjs-bulwark';
import { type Observable, catchError, toArray } from 'rxjs';
import { PRICE_SERVICE, type Price, PricesService, answerForClients } from './prices.service.js';

@Controller()
export class PricesController {
  constructor(
    private readonly prices: PricesService,
    private readonly breakers: CircuitBreakerRegistry,
    @Inject(PRICE_SERVICE) private readonly client: ClientProxy,
  ) {}

  @Get('prices/:symbol')
  price(@Param('symbol') symbol: string): Observable<Price> {
    return this.prices.price(symbol);
  }

  @Get('prices/:symbol/ticks')
  ticks(@Param('symbol') symbol: string): Observable<Price[]> {
    return this.prices.ticks(symbol).pipe(toArray(), catchError(answerForClients));
  }

  @Get('circuit')
  circuit(): object {
    const { state, remainingTimeout, stats } = this.breakers.get('prices');
    return {
      state,
      ...(remainingTimeout !== undefined && { remainingTimeout: Math.ceil(remainingTimeout) }),
      totalCalls: stats.totalCalls,
    };
  }

  /** Switches the price service, past every policy. */
  @Post('mode/:mode')
  setMode(@Param('mode') mode: string): Observable<object> {
    return this.client.send<object>('mode', mode);
  }
  @Get('requests')
  requests(): Observable<object> {
    return this.client.send<object>('requests', {});
  }
}
