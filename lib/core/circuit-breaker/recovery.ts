import { parseDuration } from '../duration.js';
import type { Runtime } from '../runtime.js';
import { DEFAULT_RECOVERY, type ResolvedCircuitBreakerOptions } from './options.js';

type RecoveryOptions = Pick<
  ResolvedCircuitBreakerOptions,
  'recoveryTimeout' | 'recoveryBackoff' | 'recoveryJitter'
>;

/**
 * How long a circuit stays open: what the failure asks for or the fixed time, grown with each recovery
 * that failed since it last closed, then spread upwards.
 */
export function openTime(
  options: RecoveryOptions,
  error: unknown,
  failedRecoveries: number,
  runtime: Runtime,
): number {
  const { recoveryBackoff, recoveryJitter } = options;
  const base = baseTime(options, error, runtime);
  const grown = recoveryBackoff
    ? Math.max(
        base,
        Math.min(recoveryBackoff.max, base * recoveryBackoff.factor ** failedRecoveries),
      )
    : base;
  return recoveryJitter === 0 ? grown : grown * (1 + recoveryJitter * runtime.random());
}

function baseTime(
  { recoveryTimeout }: RecoveryOptions,
  error: unknown,
  { logger }: Runtime,
): number {
  if (typeof recoveryTimeout === 'number') return recoveryTimeout;
  try {
    const asked = parseDuration(recoveryTimeout(error));
    return asked !== undefined && asked >= 0 ? asked : DEFAULT_RECOVERY;
  } catch (thrown) {
    logger.error(
      `recoveryTimeout threw; the circuit stays open for ${String(DEFAULT_RECOVERY)} ms`,
      thrown,
    );
    return DEFAULT_RECOVERY;
  }
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
