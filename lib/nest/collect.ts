import { ResilienceConfigError } from '../core/errors.js';
import type { Issues } from '../core/validation.js';

/** Adds the problems of a step to the list and goes on. */
export function collect(issues: Issues, step: () => unknown): void {
  try {
    step();
  } catch (error) {
    if (!(error instanceof ResilienceConfigError)) throw error;
    issues.list.push(...error.issues);
  }
}
