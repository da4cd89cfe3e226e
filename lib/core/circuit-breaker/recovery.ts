import { MAX_DURATION, parseDuration } from '../duration.js';
import { type Runtime, tell } from '../runtime.js';
import { DEFAULT_RECOVERY } from './options.js';
import type { Rules } from './rules.js';

/**
 * How long a circuit stays open: what the failure asks for or the fixed time, grown with each recovery
 * that failed since it last closed, then spread upwards.
 */
export function openTime(rules: Rules, error: unknown, failedRecoveries: number): number {
  const { recoveryBackoff, recoveryJitter } = rules.options;
  const base = baseTime(rules, error);
  const grown = recoveryBackoff ? grownTime(base, recoveryBackoff, failedRecoveries) : base;
  if (recoveryJitter === 0) return grown; // and draws nothing: others share the random numbers
  return grown * (1 + recoveryJitter * rules.runtime.random());
}

/** Never below the time itself, also where that is above the cap. */
function grownTime(
  base: number,
  { factor, max }: { readonly factor: number; readonly max: number },
  failedRecoveries: number,
): number {
  // An endless growth of nothing would be no number.
  const growth = Math.min(factor ** failedRecoveries, Number.MAX_VALUE);
  return Math.max(base, Math.min(max, base * growth));
}

function baseTime({ name, options, runtime }: Rules, error: unknown): number {
  const { recoveryTimeout } = options;
  if (typeof recoveryTimeout === 'number') return recoveryTimeout;
  const message = `Circuit breaker "${name}": recoveryTimeout threw; the circuit stays open for ${String(DEFAULT_RECOVERY)} ms`;
  let asked: unknown;
  tell(
    () => (asked = recoveryTimeout(error)),
    (thrown) => runtime.logger.error(message, thrown),
  );
  const time = parseDuration(asked) ?? -1;
  return time >= 0 ? Math.min(time, MAX_DURATION) : DEFAULT_RECOVERY;
}

/** Admits a rising share of calls for a while, so that a recovering dependency is not flooded. */
export class Ramp {
  readonly #startedAt: number;

  constructor(
    private readonly rampUp: { readonly duration: number; readonly from: number },
    private readonly runtime: Runtime,
  ) {
    this.#startedAt = runtime.clock.now();
  }

  get over(): boolean {
    return this.#elapsed >= this.rampUp.duration;
  }

  admits(): boolean {
    const { duration, from } = this.rampUp;
    return this.runtime.random() < from + (1 - from) * (this.#elapsed / duration);
  }

  get #elapsed(): number {
    return this.runtime.clock.now() - this.#startedAt;
  }
}
