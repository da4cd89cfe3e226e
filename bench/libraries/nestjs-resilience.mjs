import 'reflect-metadata';
import { Injectable, Logger, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import {
  BulkheadStrategy,
  CircuitBreakerStrategy,
  FallbackStrategy,
  ResilienceModule,
  RetryStrategy,
  TimeoutStrategy,
  UseResilience,
  UseResilienceObservable,
} from 'nestjs-resilience';
import { lastValueFrom } from 'rxjs';
import { decorate, fail, failTimes, fn, stream } from './work.mjs';

Logger.overrideLogger(false);

/** Its decorators run the first strategy innermost, so the lists here are inside out. */
async function service(work, decorator, strategies) {
  class Service {
    run() {
      return work();
    }
  }
  Injectable()(Service);
  decorate(Service, 'run', decorator(...strategies));
  class Root {}
  Module({ imports: [ResilienceModule.forRoot({})], providers: [Service] })(Root);
  const app = await NestFactory.createApplicationContext(Root, { logger: false });
  return app.get(Service);
}

const running = async (...strategies) => ({
  expression: 'service.run()',
  scope: { service: await service(fn, UseResilience, strategies) },
});
const breaker = (options) => new CircuitBreakerStrategy(options);
const retrying = () => new RetryStrategy({ maxRetries: 2 });

export const cases = {
  'breaker-decorated': () => running(breaker()),
  retry: () => running(retrying()),
  'time-limit': () => running(new TimeoutStrategy(1_000)),
  bulkhead: () => running(new BulkheadStrategy({ maxConcurrent: 10, maxQueue: 0 })),
  fallback: () => running(new FallbackStrategy(() => 0)),
  pipeline: () => running(new TimeoutStrategy(1_000), breaker(), retrying()),
  common: () =>
    running(
      new TimeoutStrategy(1_000),
      new BulkheadStrategy({ maxConcurrent: 10, maxQueue: 0 }),
      breaker(),
      new FallbackStrategy(() => 0),
    ),
  policy: () =>
    running(
      new TimeoutStrategy(1_000),
      new BulkheadStrategy({ maxConcurrent: 10, maxQueue: 0 }),
      breaker(),
      retrying(),
      new TimeoutStrategy(2_000),
      new FallbackStrategy(() => 0),
    ),
  open: async () => {
    const strategy = breaker({ requestVolumeThreshold: 1, sleepWindowInMilliseconds: 3_600_000 });
    const failing = await service(fail, UseResilience, [strategy]);
    await failTimes(5, () => failing.run());
    return { expression: 'service.run()', scope: { service: failing } };
  },
  observable: async () => ({
    expression: 'lastValueFrom(service.run())',
    scope: {
      service: await service(stream, UseResilienceObservable, [breaker()]),
      lastValueFrom,
      stream,
    },
  }),
};
