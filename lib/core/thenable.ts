export function isThenable(value: unknown): value is PromiseLike<unknown> {
  if ((typeof value !== 'object' || value === null) && typeof value !== 'function') return false;
  try {
    return typeof (value as { then?: unknown }).then === 'function';
  } catch {
    return false; // a hostile getter: whoever awaits the value will meet it
  }
}

/** Whether it is a promise where none is of use. What it rejects with is nobody's then, and no crash. */
export function isUselessPromise(value: unknown): boolean {
  if (!isThenable(value)) return false;
  value.then(undefined, () => undefined);
  return true;
}

/**
 * What a predicate has answered.
 * @throws TypeError where it is a promise: that is always truthy, and comes too late to decide anything
 */
export function decided<T>(answer: T): T {
  if (isUselessPromise(answer)) throw new TypeError('It returned a promise; it must not be async');
  return answer;
}
