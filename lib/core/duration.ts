import ms from 'ms';

/** Milliseconds, or a string such as `'250ms'`, `'30s'`, `'5m'` (the grammar of the `ms` package). */
export type Duration = number | string;

/** The longest time Node's timers can hold: 2^31 - 1 ms, about 24.8 days. */
export const MAX_DURATION = 2_147_483_647;

/** The duration in milliseconds, or `undefined` where `value` is not one. */
export function parseDuration(value: unknown): number | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? value : undefined;
  if (typeof value !== 'string' || value === '') return undefined; // on which ms throws
  const parsed = ms(value as ms.StringValue) as number | undefined;
  return Number.isFinite(parsed) ? parsed : undefined;
}
