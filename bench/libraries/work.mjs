import { Observable } from 'rxjs';

/** What every library protects; it counts itself, so that no loop can be measured that did nothing. */
export const work = { calls: 0 };

export const fn = async () => {
  work.calls++;
  return 1;
};

export const fail = async () => {
  throw new Error('failed on purpose');
};

export const stream = () =>
  new Observable((subscriber) => {
    work.calls++;
    subscriber.next(1);
    subscriber.complete();
  });

/** Reported as a note in place of a figure. */
export class Skip extends Error {}

/** The library has nothing of that kind. */
export function skip(reason) {
  throw new Skip(reason);
}

/** What a compiler makes of `@decorator() key() {}`, outermost decorator first. */
export function decorate(type, key, ...decorators) {
  let descriptor = Object.getOwnPropertyDescriptor(type.prototype, key);
  for (const decorator of decorators.toReversed()) {
    descriptor = decorator(type.prototype, key, descriptor) ?? descriptor;
  }
  Object.defineProperty(type.prototype, key, descriptor);
}

/** Brings a breaker to the open state. */
export async function failTimes(times, call) {
  for (let at = 0; at < times; at++) await call().catch(() => undefined);
}
