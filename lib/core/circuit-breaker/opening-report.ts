/** Why a circuit opened: the rule that tripped, its figures, and what failed. */
export interface OpeningReport {
  /** `consecutive_failures`, `probe_failed`, or a window's rule. */
  readonly rule: string;
  /** The numbers that the rule compared. */
  readonly figures: Readonly<Record<string, number>>;
  /** The commonest failures since the circuit last closed, by class or code, at most five. */
  readonly topFailures: readonly { readonly name: string; readonly count: number }[];
}

const MOST_NAMES = 50;
const MOST_REPORTED = 5;

/** Counts failures by class or code; bounded, and written on failures only. */
export class FailureTally {
  readonly #counts = new Map<string, number>();

  add(error: unknown): void {
    const name = failureName(error);
    const count = this.#counts.get(name);
    if (count === undefined && this.#counts.size >= MOST_NAMES) {
      this.#bump('(other)');
      return;
    }
    this.#bump(name);
  }

  #bump(name: string): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  top(): { name: string; count: number }[] {
    return [...this.#counts]
      .map(([name, count]) => ({ name, count }))
      .sort((a, b) => b.count - a.count)
      .slice(0, MOST_REPORTED);
  }
}

/** By its code, else its class: many classes never set the `name` that they inherit. */
function failureName(error: unknown): string {
  if (typeof error !== 'object' || error === null) return typeof error;
  try {
    const { code, name, constructor } = error as Partial<Record<string, unknown>>;
    const className = typeof constructor === 'function' ? constructor.name : undefined;
    const names = [code, name === 'Error' ? className : name, name];
    const known = names.find((each) => typeof each === 'string' && each !== '') ?? 'object';
    return (known as string).slice(0, 80);
  } catch {
    return 'unreadable'; // a hostile getter
  }
}
