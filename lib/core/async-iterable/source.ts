import { isThenable } from '../thenable.js';

export type Source = AsyncIterator<unknown, unknown, unknown>;
export type Item = IteratorResult<unknown>;

export function isAsyncIterable(value: unknown): value is AsyncIterable<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    Symbol.asyncIterator in value &&
    !isThenable(value) // a query that can be awaited as well as iterated is awaited
  );
}

/** A fallback's answer: a stream as it is, anything else as the only item. */
export function itemsOf(answer: unknown): AsyncIterable<unknown> {
  return isAsyncIterable(answer) ? answer : onlyItem(answer);
}

function onlyItem(item: unknown): AsyncIterable<unknown> {
  const items = [item].values();
  return { [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve(items.next()) }) };
}

/** Whether a source keeps to the protocol; `for await` refuses with the same kind of error. */
export function isItem(given: unknown): given is Item {
  return (typeof given === 'object' && given !== null) || typeof given === 'function';
}

export function noItem(given: unknown): TypeError {
  return new TypeError(`Iterator result ${String(given)} is not an object`);
}
