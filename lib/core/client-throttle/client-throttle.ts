import { Policy, type PolicySetting, type PolicySnapshot, type Stage } from '../policy.js';
import { runtimeWith } from '../runtime.js';
import { requireOptions } from '../validation.js';
import {
  type ClientThrottleOptions,
  type ResolvedClientThrottleOptions,
  clientThrottleSchema,
} from './options.js';
import { type ClientThrottleOutcome, Throttle } from './throttle.js';

/** What a client throttle has done (`calls` only go up), and the window that it decides by. */
export interface ClientThrottleSnapshot extends PolicySnapshot {
  readonly calls: Readonly<Record<ClientThrottleOutcome, number>>;
  /** Calls asked for in the window, those held back included. */
  readonly requests: number;
  /** Calls accepted in the window. */
  readonly accepts: number;
  /** The chance with which the next call is held back, 0..1. */
  readonly rejectionRate: number;
}

/** Holds calls back that the dependency would reject. Made by `clientThrottle()`. */
export class ClientThrottlePolicy extends Policy {
  readonly kind = 'clientThrottle';
  readonly name: string;
  readonly options: ResolvedClientThrottleOptions;
  readonly #throttle: Throttle;

  constructor(options?: ClientThrottleOptions, setting: PolicySetting = {}) {
    super(setting);
    const { name = 'clientThrottle', runtime } = setting;
    this.options = requireOptions(clientThrottleSchema, options, `clientThrottle(${name})`);
    this.name = this.options.name ?? name;
    this.#throttle = new Throttle(this.name, this.options, runtimeWith(runtime));
  }

  stages(): [Stage] {
    return [this.#throttle];
  }

  snapshot(): ClientThrottleSnapshot {
    const { id, kind, name, options } = this;
    const { calls, rejectionRate, window } = this.#throttle;
    const { requests, accepts } = window;
    return { id, kind, name, options, calls: { ...calls }, requests, accepts, rejectionRate };
  }
}

/**
 * Adaptive throttling: while the dependency rejects calls as overloaded, only about `multiplier` times as many
 * are made as it accepts; the others are rejected here, with the probability
 * `max(0, (requests - multiplier x accepts) / (requests + 1))` over the latest `window`. Unlike an open
 * circuit it never shuts off what still works. It keeps the kind of the function's result. With the defaults,
 * after a complete outage all calls are through again in about a window and a half.
 *
 * @see "Client-Side Throttling" in "Site Reliability Engineering" (Beyer et al., O'Reilly 2016), chapter 21,
 *   https://sre.google/sre-book/handling-overload/
 * @example
 * const inventory = clientThrottle({ multiplier: 2, window: '2m' });
 * const stock = await inventory.execute(({ signal }) => client.stock(id, signal));
 * @throws ResilienceConfigError naming every option that breaks its rule; a call that is held back gets a
 *   ThrottledError
 */
export function clientThrottle(
  options?: ClientThrottleOptions,
  setting?: PolicySetting,
): ClientThrottlePolicy {
  return new ClientThrottlePolicy(options, setting);
}
