import 'reflect-metadata';
import { Injectable, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { lastValueFrom } from 'rxjs';
import { decorate, fail, failTimes, fn, skip, stream } from './work.mjs';

// By path: the name would be this folder's own package.
const core = await import('../../dist/esm/core/index.js');
const { CircuitBreaker, pipeline, retry } = core;

/** A factory of the library, which may be younger than this bench. */
function part(name) {
  return core[name] ?? (() => skip(`${name}() is not exported yet`));
}

const breakerWith = (options) => {
  try {
    return new CircuitBreaker('bench', options);
  } catch (error) {
    if (error.code !== 'INVALID_CONFIG' || !('window' in options)) throw error;
    return skip('the option `window` is not known yet');
  }
};

const windowed = (window) => () => executing(breakerWith({ window }));
const executing = (policy) => ({ expression: 'policy.execute(fn)', scope: { policy, fn } });
const guarded = () => pipeline(retry(), new CircuitBreaker('bench'), part('timeLimit')('1s'));

export async function providerWith(type, module = {}) {
  const nest = await import('../../dist/esm/index.js');
  Injectable()(type);
  class Root {}
  Module({ imports: [nest.ResilienceModule.forRoot(module)], providers: [type] })(Root);
  const app = await NestFactory.createApplicationContext(Root, { logger: false });
  return app.get(type);
}

async function decorated(args = '') {
  const { CircuitProtected } = await import('../../dist/esm/index.js');
  class Service {
    charge() {
      return fn();
    }
  }
  Reflect.defineMetadata('design:returntype', Promise, Service.prototype, 'charge');
  decorate(Service, 'charge', CircuitProtected('payments'));
  const service = await providerWith(Service, { circuitBreakers: { payments: {} } });
  class Plain {
    charge() {
      return fn();
    }
  }
  const plain = new Plain();
  return {
    expression: `service.charge(${args})`,
    bare: `plain.charge(${args})`,
    scope: { service, plain },
  };
}

export const cases = {
  breaker: () => executing(new CircuitBreaker('bench')),
  'breaker-decorated': () => decorated(),
  'breaker-arguments': () => decorated('1, 2'),
  'window-count': windowed({ type: 'count', size: 100, failureRate: 0.5, minimumCalls: 10 }),
  'window-time': windowed({ type: 'time', duration: '10s', failureRate: 0.5, minimumCalls: 10 }),
  retry: () => executing(retry()),
  'time-limit': () => executing(part('timeLimit')('1s')),
  bulkhead: () => executing(part('bulkhead')({ maxConcurrent: 10 })),
  fallback: () => executing(part('fallback')(() => 0)),
  pipeline: () => executing(guarded()),
  common: () =>
    executing(
      pipeline(
        part('fallback')(() => 0),
        new CircuitBreaker('bench'),
        part('bulkhead')({ maxConcurrent: 10 }),
        part('timeLimit')('1s'),
      ),
    ),
  policy: () =>
    executing(
      pipeline(
        part('fallback')(() => 0),
        part('timeLimit')('2s'),
        retry(),
        new CircuitBreaker('bench'),
        part('rateLimit')({ limit: 1_000_000_000, interval: '1s' }),
        part('bulkhead')({ maxConcurrent: 10 }),
        part('timeLimit')('1s'),
      ),
    ),
  open: async () => {
    const policy = new CircuitBreaker('bench', { recoveryTimeout: '1h' });
    await failTimes(5, () => policy.execute(fail));
    return executing(policy);
  },
  observable: async () => {
    const { CircuitProtected } = await import('../../dist/esm/index.js');
    class Service {
      prices() {
        return stream();
      }
    }
    decorate(Service, 'prices', CircuitProtected('prices'));
    const service = await providerWith(Service, { circuitBreakers: { prices: {} } });
    return {
      expression: 'lastValueFrom(service.prices())',
      scope: { service, lastValueFrom, stream },
    };
  },
};

export const makeBreaker = () => new CircuitBreaker('bench');
export const callBreaker = (breaker) => breaker.execute(fn);
export const makePipeline = (slow) => {
  const policy = guarded();
  return () => policy.execute(slow);
};
