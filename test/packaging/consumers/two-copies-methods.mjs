// Methods that two copies of the library have decorated, in the application of one of them.
import 'reflect-metadata';
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import * as ours from 'nestjs-bulwark';
import { defer, lastValueFrom, of } from 'rxjs';

const inside = createRequire(join(process.cwd(), 'node_modules/dependency/index.js'));
const theirs = await import(pathToFileURL(inside.resolve('nestjs-bulwark')));
assert.notEqual(theirs.CircuitBreaker, ours.CircuitBreaker);

class Service {
  constructor() {
    this.calls = 0;
  }
  first() {
    return this.fail();
  }
  second() {
    return this.fail();
  }
  async fail() {
    this.calls++;
    throw new Error('down');
  }
}
class OurService extends Service {}
class TheirService extends Service {}
class BothService extends Service {}

/** What only the copy that runs a call used to know of it. */
class Asking {
  async promise() {
    return [theirs.currentAttempt(), ours.currentAttempt(), theirs.currentSignal()?.aborted];
  }
  async byHand() {
    return ours.currentAttempt();
  }
  stream() {
    return defer(() => of(theirs.currentAttempt()));
  }
  async *items() {
    yield theirs.currentAttempt();
  }
}

const twice = { maxAttempts: 2, baseDelay: 0 };
decorate(OurService, 'first', ours.CircuitProtected('payments'));
decorate(TheirService, 'first', theirs.Retry(twice));
decorate(OurService, 'second', ours.Retry({ maxAttempts: 4, baseDelay: 0 }));
decorate(TheirService, 'second', theirs.CircuitProtected('stock'));
decorate(BothService, 'first', ours.CircuitProtected('payments'), theirs.Retry(twice));
decorate(BothService, 'second', theirs.CircuitProtected('stock'), ours.Retry(twice));

decorate(Asking, 'promise', theirs.TimeLimit('1m'));
decorate(Asking, 'byHand', theirs.CircuitProtected(new theirs.CircuitBreaker('by hand')));
decorate(Asking, 'stream', theirs.CircuitProtected('asked'));
decorate(Asking, 'items', theirs.CircuitProtected('asked'));
theirs.InjectCircuitBreaker('stock')(TheirService.prototype, 'stock');

// Without an application.
assert.deepEqual(await attemptsOf(new OurService(), new TheirService()), [1, 4, 2, 1]);

const app = await start(OurService, TheirService, BothService, Asking);
const [our, their, both] = [app.get(OurService), app.get(TheirService), app.get(BothService)];
assert.deepEqual(await attemptsOf(our, their), [1, 4, 2, 1]);

const breakers = app.get(ours.CircuitBreakerRegistry);
assert.deepEqual([breakers.get('payments').state, breakers.get('stock').state], ['open', 'open']);
assert.equal(their.stock, breakers.get('stock'));
for (const breaker of breakers) breaker.reset();
assert.deepEqual(await attemptsOf(both), [1, 1], 'the open circuit ends the retries of both');

const { methods } = app.get(ours.ResilienceInspector).report();
assert.deepEqual(
  methods.map(({ name, policies }) => [name, ...policies.map(({ kind }) => kind)].join(' ')).sort(),
  [
    'Asking.byHand circuitBreaker',
    'Asking.items circuitBreaker',
    'Asking.promise timeLimit',
    'Asking.stream circuitBreaker',
    'BothService.first retry circuitBreaker',
    'BothService.second retry circuitBreaker',
    'OurService.first circuitBreaker',
    'OurService.second retry',
    'TheirService.first retry',
    'TheirService.second circuitBreaker',
  ],
);

const asking = app.get(Asking);
assert.deepEqual(await asking.promise(), [1, 1, false]);
assert.equal(await asking.byHand(), 1);
assert.equal(await lastValueFrom(asking.stream()), 1);
for await (const attempt of asking.items()) assert.equal(attempt, 1);
const { totalCalls, successfulCalls } = breakers.get('asked').stats;
assert.deepEqual([totalCalls, successfulCalls], [2, 2]);
await app.close();
assert.deepEqual([theirs.currentAttempt(), ours.currentAttempt()], [undefined, undefined]);

class Mistaken extends Service {}
decorate(Mistaken, 'first', theirs.CircuitProtected('paiments'));
await assert.rejects(start(Mistaken), /Mistaken\.first: circuit breaker "paiments" is not/);

console.log('methods of both copies run under their own policies');

/** With the decorators, innermost first, on a method of its own. */
function decorate({ prototype }, key, ...decorators) {
  const inherited = prototype[key];
  const descriptor = {
    value(...args) {
      return inherited.apply(this, args);
    },
  };
  for (const decorator of decorators) decorator(prototype, key, descriptor);
  Object.defineProperty(prototype, key, descriptor);
}

function start(...providers) {
  const options = { circuitBreakers: { payments: { failureThreshold: 1 }, asked: {} } };
  const feature = { circuitBreakers: { stock: { failureThreshold: 1 } } };
  class AppModule {}
  Module({
    imports: [ours.ResilienceModule.forRoot(options), theirs.ResilienceModule.forFeature(feature)],
    providers,
  })(AppModule);
  return NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false });
}

async function attemptsOf(...services) {
  const attempts = [];
  for (const service of services) {
    for (const method of ['first', 'second']) {
      service.calls = 0;
      await service[method]().catch(() => undefined);
      attempts.push(service.calls);
    }
  }
  return attempts;
}
