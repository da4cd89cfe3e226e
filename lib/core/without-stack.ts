/**
 * Makes a rejection without its stack trace, which is most of what a rejection costs. With one where the
 * process has frozen `Error`: as `node --frozen-intrinsics` does.
 */
export function withoutStack<E extends Error>(make: () => E): E {
  const limit = Error.stackTraceLimit;
  try {
    Error.stackTraceLimit = 0;
  } catch {
    return make();
  }
  try {
    return make();
  } finally {
    Error.stackTraceLimit = limit;
  }
}
