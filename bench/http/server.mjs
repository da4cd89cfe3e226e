/** A small Nest application: the same answer plainly, through an empty interceptor, through ours, and from a decorated provider. */
import 'reflect-metadata';
import { Controller, Get, Inject, Injectable, Module, UseInterceptors } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  CircuitProtected,
  ResilienceInterceptor,
  ResilienceModule,
  Retry,
} from '../../dist/esm/index.js';
import { decorate } from '../libraries/work.mjs';

class Prices {
  async plain() {
    return { price: 42 };
  }
  async guarded() {
    return { price: 42 };
  }
}
Reflect.defineMetadata('design:returntype', Promise, Prices.prototype, 'guarded');
decorate(Prices, 'guarded', Retry('prices'), CircuitProtected('prices'));
Injectable()(Prices);

class PricesController {
  constructor(prices) {
    this.prices = prices;
  }
  plain() {
    return this.prices.plain();
  }
  nest() {
    return this.prices.plain();
  }
  interceptor() {
    return this.prices.plain();
  }
  decorated() {
    return this.prices.guarded();
  }
  both() {
    return this.prices.guarded();
  }
}
Inject(Prices)(PricesController, undefined, 0);
/** What any interceptor costs: Nest goes through rxjs then. */
class DoesNothing {
  intercept(_context, next) {
    return next.handle();
  }
}
Injectable()(DoesNothing);
const intercepted = UseInterceptors(ResilienceInterceptor('catalog'));
decorate(PricesController, 'plain', Get('plain'));
decorate(PricesController, 'nest', Get('nest'), UseInterceptors(DoesNothing));
decorate(PricesController, 'interceptor', Get('interceptor'), intercepted);
decorate(PricesController, 'decorated', Get('decorated'));
decorate(PricesController, 'both', Get('both'), intercepted);
Controller()(PricesController);

class Root {}
Module({
  imports: [
    ResilienceModule.forRoot({
      circuitBreakers: { prices: {}, catalog: {} },
      retries: { prices: {} },
      policies: { catalog: { retry: 'prices', circuitBreaker: 'catalog' } },
    }),
  ],
  controllers: [PricesController],
  providers: [Prices],
})(Root);

const app = await NestFactory.create(Root, { logger: false });
await app.listen(0, '127.0.0.1');
process.send({ url: await app.getUrl() });
process.once('disconnect', () => process.exit());
