import { Controller } from '@nestjs/common';
import { MessagePattern, RpcException } from '@nestjs/microservices';
import { NEVER, type Observable, defer, from, of, throwError } from 'rxjs';

const MODES = ['ok', 'fail', 'flaky', 'hang'] as const;
export type Mode = (typeof MODES)[number];

const PRICES: Readonly<Record<string, readonly number[]>> = {
  ACME: [41, 42, 43],
  INIT: [7, 8, 9],
};

/** Answers over TCP, and breaks when told to: `flaky` fails every other request. */
@Controller()
export class PricesHandlers {
  #mode: Mode = 'ok';
  #requests = 0;

  @MessagePattern('price')
  price(symbol: string): Observable<number> {
    return this.#answer(() => of(pricesOf(symbol).at(-1) as number));
  }

  @MessagePattern('ticks')
  ticks(symbol: string): Observable<number> {
    return this.#answer(() => from(pricesOf(symbol)));
  }

  /** The switch, and what it stands on. Neither is counted. */
  @MessagePattern('mode')
  setMode(wanted: string): { mode: Mode } {
    const mode = MODES.find((known) => known === wanted);
    if (mode === undefined) throw new RpcException(`The modes are ${MODES.join(', ')}`);
    this.#mode = mode;
    return { mode };
  }
  @MessagePattern('requests')
  requests(): { mode: Mode; requests: number } {
    return { mode: this.#mode, requests: this.#requests };
  }

  #answer(open: () => Observable<number>): Observable<number> {
    this.#requests++;
    if (this.#mode === 'hang') return NEVER;
    if (this.#mode === 'fail') return broken();
    if (this.#mode === 'flaky' && this.#requests % 2 === 1) return broken();
    return defer(open);
  }
}

function broken(): Observable<never> {
  return throwError(() => new RpcException('The database is gone'));
}

function pricesOf(symbol: string): readonly number[] {
  const prices = PRICES[symbol];
  if (prices !== undefined) return prices;
  throw new RpcException({
    status: 'error',
    code: 'UNKNOWN_SYMBOL',
    message: `There is no ${symbol}`,
  });
}
