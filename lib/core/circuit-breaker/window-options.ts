import type { Duration } from '../duration.js';
import {
  Issues,
  type Rule,
  type Schema,
  duration,
  integer,
  nested,
  number,
  oneOf,
} from '../validation.js';

interface RateOptions {
  /** Share of failed calls that opens the circuit, in (0, 1]. Default 0.5. */
  failureRate?: number | undefined;
  /** Completed calls in the window before a share says anything. Default 10 (a smaller window: its size). */
  minimumCalls?: number | undefined;
  /** Share of slow calls that opens the circuit, in (0, 1]; goes with `slowCallDuration`. */
  slowCallRate?: number | undefined;
  /** A call that takes longer is slow. */
  slowCallDuration?: Duration | undefined;
}

/** What a closed breaker looks at. Default: failures in a row (`failureThreshold`). */
export type WindowOptions =
  | { type: 'consecutive' }
  /** The last `size` calls; default 100. */
  | ({ type: 'count'; size?: number | undefined } & RateOptions)
  /** The calls of the last `duration`, in steps of a tenth of it; default 10 s. */
  | ({ type: 'time'; duration?: Duration | undefined } & RateOptions);

interface ResolvedRates {
  readonly failureRate: number;
  readonly minimumCalls: number;
  readonly slowCallRate: number | undefined;
  readonly slowCallDuration: number | undefined;
}
export type ResolvedCountWindow = ResolvedRates & { readonly type: 'count'; readonly size: number };
export type ResolvedTimeWindow = ResolvedRates & {
  readonly type: 'time';
  readonly duration: number;
};
/** The window in force, every default filled in, durations in ms. */
export type ResolvedWindow =
  { readonly type: 'consecutive' } | ResolvedCountWindow | ResolvedTimeWindow;

const share = number({ above: 0, max: 1 });
const MINIMUM_CALLS = 10;

const rates = {
  failureRate: { rule: share, default: 0.5 },
  minimumCalls: { rule: integer(1), default: 0 },
  slowCallRate: { rule: share, default: undefined },
  slowCallDuration: { rule: duration(), default: undefined },
};
const countSchema: Schema<ResolvedCountWindow> = {
  type: { rule: oneOf('count'), default: 'count' },
  size: { rule: integer(1, 1_000_000), default: 100 },
  ...rates,
};
const timeSchema: Schema<ResolvedTimeWindow> = {
  type: { rule: oneOf('time'), default: 'time' },
  duration: { rule: duration(10), default: 10_000 },
  ...rates,
};
const consecutiveSchema: Schema<{ readonly type: 'consecutive' }> = {
  type: { rule: oneOf('consecutive'), default: 'consecutive' },
};
const byType: Readonly<Record<string, Rule<ResolvedWindow>>> = {
  consecutive: nested(consecutiveSchema),
  count: completed(nested(countSchema, checkCount)),
  time: completed(nested(timeSchema, checkSlow)),
};
const typeRule = oneOf('consecutive', 'count', 'time');

/** Reads a window and everything in it. */
export const windowRule: Rule<ResolvedWindow> = (value) => {
  if (typeof value !== 'object' || value === null) {
    const known = typeRule(value);
    const type = 'value' in known ? known.value : 'count';
    return { problem: `must be an object such as { type: "${type}" }` };
  }
  const { type } = value as { type?: unknown };
  const outcome = typeRule(type);
  if ('value' in outcome) return (byType[outcome.value] as Rule<ResolvedWindow>)(value);
  const issues = new Issues();
  issues.add('.type', outcome.problem, type);
  return { problems: issues.list };
};

/** Fills in the minimum that fits the window, where none was given. */
function completed(rule: Rule<ResolvedCountWindow | ResolvedTimeWindow>): Rule<ResolvedWindow> {
  return (value) => {
    const outcome = rule(value);
    if (!('value' in outcome) || outcome.value.minimumCalls > 0) return outcome;
    const most = outcome.value.type === 'count' ? outcome.value.size : MINIMUM_CALLS;
    const minimumCalls = Math.min(MINIMUM_CALLS, most);
    return { value: Object.freeze({ ...outcome.value, minimumCalls }) };
  };
}

function checkCount(window: ResolvedCountWindow, issues: Issues): void {
  checkSlow(window, issues);
  if (window.minimumCalls > window.size) {
    issues.add('.minimumCalls', 'must not exceed size, or it is never met', window.minimumCalls);
  }
}

function checkSlow({ slowCallRate, slowCallDuration }: ResolvedRates, issues: Issues): void {
  if ((slowCallRate === undefined) !== (slowCallDuration === undefined)) {
    issues.list.push('.slowCallRate and .slowCallDuration go together: give both, or neither');
  }
}
