// What a user writes first. It is compiled as ES modules and as CommonJS, by tsc and by swc, and run
// on Nest 12 and 11 against the packed library.
import 'reflect-metadata';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Controller, Get, Inject, Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  CircuitBreakerRegistry,
  CircuitProtected,
  ResilienceModule,
  Retry,
  isResilienceError,
} from 'nestjs-bulwark';
import { CircuitBreaker } from 'nestjs-bulwark/core';
import { FakeClock } from 'nestjs-bulwark/testing';

@Injectable()
class Quotes {
  calls = 0;

  @Retry({ maxAttempts: 2, baseDelay: 0 })
  @CircuitProtected('quotes')
  quote(symbol: string): Promise<number> {
    this.calls++;
    return Promise.reject(new Error(`No quote for ${symbol}`));
  }
}

@Controller()
class QuotesController {
  constructor(@Inject(Quotes) private readonly quotes: Quotes) {}

  @Get()
  quote(): Promise<number> {
    return this.quotes.quote('ACME');
  }
}

@Module({
  imports: [
    ResilienceModule.forRoot({
      circuitBreakers: { quotes: { failureThreshold: 2, recoveryTimeout: '30s' } },
    }),
  ],
  controllers: [QuotesController],
  providers: [Quotes],
})
class AppModule {}

async function main(): Promise<void> {
  const app = await NestFactory.create(AppModule, { logger: false, abortOnError: false });
  await app.listen(0, '127.0.0.1');
  const server = app.getHttpServer() as Server;
  const url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}/`;

  const failed = await fetch(url);
  const rejected = await fetch(url);
  const breaker = app.get(CircuitBreakerRegistry).get('quotes');
  expect('status of a failed call', failed.status, 503);
  expect('status of a rejected call', rejected.status, 503);
  expect('Retry-After', rejected.headers.get('retry-after'), '30');
  expect('state', breaker.state, 'open');
  expect('calls of the method', app.get(Quotes).calls, 2);
  expect('one copy behind all entries', breaker instanceof CircuitBreaker, true);
  const error: unknown = await app
    .get(Quotes)
    .quote('ACME')
    .then(undefined, (e: unknown) => e);
  expect('error recognised', isResilienceError(error, 'CIRCUIT_OPEN'), true);
  expect('fake clock', new FakeClock().pendingTimers, 0);
  await app.close();
  console.log('an open circuit, and closed');
}

function expect(what: string, actual: unknown, wanted: unknown): void {
  if (actual !== wanted) {
    throw new Error(`${what}: got ${String(actual)}, not ${String(wanted)}`);
  }
}

main().catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
