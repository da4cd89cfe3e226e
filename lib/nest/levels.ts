/** A prototype or a class and what it inherits from, nearest first, short of what the language gives to all. */
export function* levelsOf(host: unknown): Iterable<object> {
  for (let level = host; isLevel(level); level = Object.getPrototypeOf(level)) yield level;
}

function isLevel(level: unknown): level is object {
  if (level === Object.prototype || level === Function.prototype) return false;
  return typeof level === 'function' || (typeof level === 'object' && level !== null);
}
