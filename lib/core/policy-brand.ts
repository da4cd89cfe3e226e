/** Shared by every installed copy of the library. */
export const POLICY_BRAND = Symbol.for('nestjs-bulwark:policy');

/** Whether it is a policy, of whichever copy; safe for any value. */
export function isPolicy(
  value: unknown,
): value is { readonly kind: unknown; readonly name: unknown } {
  try {
    return (value as { [POLICY_BRAND]?: unknown } | null | undefined)?.[POLICY_BRAND] === true;
  } catch {
    return false; // a hostile Proxy
  }
}
