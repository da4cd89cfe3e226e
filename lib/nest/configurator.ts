import { prepared } from '../core/live-options.js';
import { Issues, show, suggest } from '../core/validation.js';
import {
  type Apply,
  LIVE_GROUPS,
  type LiveGroup,
  type ResilienceChanges,
  isLive,
} from './live-changes.js';
import { NAMED_GROUPS } from './named-options.js';
import { PolicyChange } from './policy-changes.js';
import { collect } from './collect.js';
import type { ResilienceRegistry } from './registry.js';

/**
 * Changes named policies of one application while they work, to be injected: from a configuration that
 * is watched, or from an admin route. State, statistics, permits, slots, tokens and queues are kept.
 */
export class ResilienceConfigurator {
  /** @param place how problems call it */
  constructor(
    private readonly registry: ResilienceRegistry,
    private readonly place = 'ResilienceConfigurator.configure()',
  ) {}

  /**
   * Makes all of `changes` or, where one of them breaks a rule, none. What is left out, or
   * `undefined`, stays.
   *
   * @example
   * configurator.configure({
   *   circuitBreakers: { payments: { failureThreshold: 10 } },
   *   bulkheads: { reports: { maxConcurrent: 20 } },
   *   policies: { catalog: { timeLimit: '3s' } },
   * });
   * @throws ResilienceConfigError with every problem; nothing has changed then
   */
  configure(changes: ResilienceChanges): void {
    this.prepare(changes)();
  }

  /**
   * Checks a change and gives what makes it: a caller may ask first and change later. What others have
   * changed in between stays; where the change is none any more beside it, making it throws, and makes none.
   * @throws ResilienceConfigError as `configure` does
   */
  prepare(changes: ResilienceChanges): () => void {
    return prepared(changes, (asked) => this.#plan(asked));
  }

  #plan(changes: ResilienceChanges): () => void {
    const issues = new Issues();
    const applies: Apply[] = [];
    const groups = asObject(changes, 'changes', issues);
    for (const group of Object.keys(groups)) requireLiveGroup(group, issues);
    for (const group of LIVE_GROUPS) {
      const given = groups[group] === undefined ? {} : groups[group];
      const named = asObject(given, group, issues);
      for (const [name, change] of Object.entries(named)) {
        if (change !== undefined) this.#prepareOne(group, name, change, applies, issues);
      }
    }
    issues.throwIfAny();
    return () => {
      for (const apply of applies) apply();
    };
  }

  #prepareOne(
    group: LiveGroup,
    name: string,
    given: unknown,
    applies: Apply[],
    issues: Issues,
  ): void {
    const before = issues.list.length;
    const change = asObject(given, `${group}.${name}`, issues);
    if (issues.list.length > before) return;
    collect(issues, () => {
      if (group === 'policies') {
        new PolicyChange(this.registry, name, this.place).prepare(change, applies, issues);
        return;
      }
      const options = this.registry.withBudget(change, `${group}.${name}`) as object;
      const made = this.registry.madeOf(group, name, this.place).filter(isLive);
      applies.push(...made.map((policy) => policy.prepare(options)));
    });
  }
}

function requireLiveGroup(group: string, issues: Issues): void {
  if ((LIVE_GROUPS as readonly string[]).includes(group)) return;
  const known = (NAMED_GROUPS as readonly string[]).includes(group);
  issues.list.push(
    known
      ? `${group} cannot change while the application works; what can: ${LIVE_GROUPS.join(', ')}`
      : `changes.${group} is not a group of named policies${suggest(group, LIVE_GROUPS)}`,
  );
}

function asObject(value: unknown, path: string, issues: Issues): Record<string, unknown> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>;
  }
  issues.list.push(`${path} must be an object, got ${show(value)}`);
  return {};
}
