/**
 * What all installed copies of the library share: they meet in one application, with one registry, and
 * must know each other's methods, names and running calls. What changes its shape takes another name.
 */
export function processWide<T extends object>(name: string, make: () => T): T {
  const shared = globalThis as unknown as Record<symbol, T | undefined>;
  return (shared[Symbol.for(`nestjs-bulwark:${name}`)] ??= make());
}
