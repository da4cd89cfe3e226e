// One process with two copies of the library: the application's, and one that a dependency brings.
import 'reflect-metadata';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Controller, Get, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import * as ours from 'nestjs-bulwark';

const inside = createRequire(join(process.cwd(), 'node_modules/dependency/index.js'));
const theirs = await import(pathToFileURL(inside.resolve('nestjs-bulwark')));
expect('two copies', theirs.CircuitBreaker !== ours.CircuitBreaker);

const errors = {
  CIRCUIT_OPEN: new theirs.CircuitBreakerError('theirs', { remainingTimeout: 1500 }),
  RETRY_EXHAUSTED: new theirs.RetryExhaustedError({ attempts: 3, lastException: new Error('x') }),
  TIMEOUT: new theirs.TimeoutError(10),
  BULKHEAD_FULL: new theirs.BulkheadRejectedError('theirs'),
  RATE_LIMITED: new theirs.RateLimitedError('theirs', { retryAfter: 2500 }),
  THROTTLED: new theirs.ThrottledError('theirs'),
  INVALID_CONFIG: new theirs.ResilienceConfigError(['wrong']),
};
for (const [code, error] of Object.entries(errors)) {
  expect(`isResilienceError(${code})`, ours.isResilienceError(error));
  expect(`isResilienceError(${code}, code)`, ours.isResilienceError(error, code));
  expect(`${code} instanceof ResilienceError`, error instanceof ours.ResilienceError);
}
expect('isAbortError', ours.isAbortError(new theirs.AbortError()));
expect('no other error', !(new Error('x') instanceof ours.ResilienceError));

// A rejection of their breaker is none of our dependency's failures.
const breaker = new ours.CircuitBreaker('ours', { failureThreshold: 1 });
await breaker.execute(() => Promise.reject(errors.CIRCUIT_OPEN)).catch(() => undefined);
expect('their rejection is not counted as a failure', breaker.state === 'closed');

class Thrower {
  circuit() {
    throw errors.CIRCUIT_OPEN;
  }
  limit() {
    throw errors.RATE_LIMITED;
  }
  timeout() {
    throw errors.TIMEOUT;
  }
  shutdown() {
    throw new theirs.AbortError('Shutting down');
  }
}
Controller()(Thrower);
for (const route of Object.getOwnPropertyNames(Thrower.prototype).slice(1)) {
  const descriptor = Object.getOwnPropertyDescriptor(Thrower.prototype, route);
  Get(route)(Thrower.prototype, route, descriptor);
}
class AppModule {}
Module({ imports: [ours.ResilienceModule.forRoot()], controllers: [Thrower] })(AppModule);

const app = await NestFactory.create(AppModule, { logger: false, abortOnError: false });
await app.listen(0, '127.0.0.1');
const url = `http://127.0.0.1:${app.getHttpServer().address().port}`;
for (const [route, status, retryAfter] of [
  ['circuit', 503, '2'],
  ['limit', 429, '3'],
  ['timeout', 504, null],
  ['shutdown', 503, null],
]) {
  const response = await fetch(`${url}/${route}`);
  const got = `${response.status}, Retry-After ${response.headers.get('retry-after')}`;
  expect(`the filter answers ${route}: ${got}`, got === `${status}, Retry-After ${retryAfter}`);
}
await app.close();
console.log('errors of the other copy recognised and answered');

function expect(what, holds) {
  if (!holds) {
    console.error(`Not so: ${what}`);
    process.exitCode = 1;
  }
}
