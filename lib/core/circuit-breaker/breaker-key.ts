import { createHash } from 'node:crypto';

/** Picks the key of a call from its arguments: a tenant, a host, a shard. */
// `any`: the arguments are the protected method's.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type BreakerKeyFunction = (...args: any[]) => string | number | bigint | boolean | undefined;

const LONGEST_KEY = 128;

/** Keys may come from outside: their length is bounded, and long ones stay apart by their digest. */
export function boundedKey(key: unknown): string {
  const known = typeof key === 'string' ? key : describeKey(key);
  return known.length <= LONGEST_KEY
    ? known
    : createHash('sha256').update(known).digest('base64url');
}

function describeKey(key: unknown): string {
  return typeof key === 'number' || typeof key === 'bigint' || typeof key === 'boolean'
    ? String(key)
    : '';
}
