import 'reflect-metadata';
import { CircuitBreaker } from '../../dist/esm/core/index.js';
import { providerWith } from '../libraries/ours.mjs';
import { decorate, fn } from '../libraries/work.mjs';
import { measureTimes } from './calls.mjs';

/** Calls go round all of them in turn; sizes are powers of two. */
export async function measureBreakers(size, effort) {
  const breakers = Array.from({ length: size }, () => new CircuitBreaker('bench'));
  const plain = Array.from({ length: size }, () => ({ execute: (work) => work() }));
  const scope = { breakers, plain, fn, mask: size - 1 };
  return measureTimes(
    'call',
    { expression: 'breakers[i & mask].execute(fn)', bare: 'plain[i & mask].execute(fn)', scope },
    effort,
  );
}

export function typeWithMethods(size) {
  const methods = Array.from({ length: size }, (_, at) => `m${at}() { return fn(); }`);
  return new Function('fn', `return class Service { ${methods.join(' ')} }`)(fn);
}

export async function measureMethods(size, effort) {
  const { CircuitProtected } = await import('../../dist/esm/index.js');
  const Service = typeWithMethods(size);
  const Plain = typeWithMethods(size);
  const names = Array.from({ length: size }, (_, at) => `m${at}`);
  for (const name of names) {
    Reflect.defineMetadata('design:returntype', Promise, Service.prototype, name);
    decorate(Service, name, CircuitProtected());
  }
  const service = await providerWith(Service);
  const [protectedCalls, plainCalls] = [callsOf(names), callsOf(names)];
  const scope = { service, plain: new Plain(), protectedCalls, plainCalls, mask: size - 1 };
  return measureTimes(
    'call',
    {
      expression: 'protectedCalls[i & mask](service)',
      bare: 'plainCalls[i & mask](plain)',
      scope,
    },
    effort,
  );
}

/** Each method is called at a place of its own, as in an application: to find one by its name takes longer than the call. */
function callsOf(names) {
  return new Function(`return [${names.map((name) => `(o) => o.${name}()`).join(', ')}]`)();
}
