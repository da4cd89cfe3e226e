import type { Pass } from '../policy.js';

/** One admitted call. Exactly the first of its three methods counts. */
export interface Permit {
  /** The call succeeded; `isFailure` sees the value. */
  success(value?: unknown): void;
  failure(error: unknown): void;
  /** The call told nothing: it counts as ignored. */
  release(): void;
}

export function permitFor(pass: Pass): Permit {
  let settled = false;
  const once = (settle: () => void): void => {
    if (settled) return;
    settled = true;
    settle();
  };
  return {
    success: (value) => once(() => pass.succeed(value)),
    failure: (error) => once(() => pass.fail(error)),
    release: () => once(() => pass.release()),
  };
}
