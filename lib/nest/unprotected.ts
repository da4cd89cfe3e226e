import { Policy, type PolicySnapshot, type Stage } from '../core/policy.js';

/** Stands for a name that nobody configured, of something that has no defaults: calls pass as they are. */
export class Unprotected extends Policy {
  readonly kind = 'unprotected';
  readonly options = Object.freeze({});

  constructor(readonly name: string) {
    super();
  }

  stages(): readonly Stage[] {
    return [];
  }

  snapshot(): PolicySnapshot {
    const { id, kind, name, options } = this;
    return { id, kind, name, options };
  }
}
