import type { ModulesContainer } from '@nestjs/core';
import type { Policy, PolicyDescription } from '../../core/policy.js';
import { classesIn } from '../application-classes.js';
import {
  type ProtectedMethod,
  protectedMethodOf,
  protectedMethodsOf,
  recordsAt,
} from '../protected-methods.js';
import type { ResilienceRegistry } from '../registry.js';
import { interceptorsAround } from './interceptors-around.js';
import { findingsOf } from './rules.js';
import { worstCaseOf } from './worst-case.js';

/** What stands around one protected method, and what a call of it may cost. */
export interface MethodReport {
  /** `OrdersService.charge`. */
  readonly name: string;
  /** Outermost first. */
  readonly policies: readonly PolicyDescription[];
  /** Milliseconds until its caller is answered at the latest; `undefined` where nothing bounds it. */
  readonly worstCaseDuration: number | undefined;
  /** How often one call may run the method. */
  readonly worstCaseCalls: number;
}

/** A combination that will probably not do what was meant. */
export interface ResilienceWarning {
  readonly method: string;
  /** The rule's name, to search for. */
  readonly rule: string;
  /** Which policy, why, and what to do. */
  readonly message: string;
}

/** Every protected method of an application, what it may cost at worst (durations in ms), and what looks wrong. */
export interface ResilienceReport {
  readonly methods: readonly MethodReport[];
  readonly warnings: readonly ResilienceWarning[];
}

type Records = readonly ProtectedMethod[];

/** Reports what protects each method of the application, what that may cost, and what looks wrong. */
export class ResilienceInspector {
  constructor(
    private readonly registry: ResilienceRegistry,
    private readonly modules: ModulesContainer,
  ) {}

  /**
   * Every policy made so far, named and anonymous, those of the decorators too: for metrics, by the `id`
   * and the `snapshot()` of each.
   */
  policies(): Policy[] {
    return this.registry.policies();
  }

  report(): ResilienceReport {
    const inspected = this.#methods().map((records) => this.#inspect(records));
    return {
      methods: inspected.map(({ report }) => report),
      warnings: inspected.flatMap(({ warnings }) => warnings),
    };
  }

  /** The report as a compact table, a method a line. */
  table(): string {
    const { methods, warnings } = this.report();
    const rows = methods.map(
      ({ name, policies, worstCaseDuration, worstCaseCalls }) =>
        `  ${name}: ${policies.map(({ kind }) => kind).join(' > ')} | at most ${String(worstCaseCalls)} calls, ` +
        (worstCaseDuration === undefined
          ? 'unbounded'
          : `${String(Math.round(worstCaseDuration))} ms`),
    );
    const doubts = warnings.map(
      ({ method, rule, message }) => `  ! ${method} [${rule}] ${message}`,
    );
    return [`${String(methods.length)} protected methods`, ...rows, ...doubts].join('\n');
  }

  #methods(): Records[] {
    const hosts = [...classesIn(this.modules)].flatMap((type) => [type.prototype as unknown, type]);
    const methods = hosts.flatMap((host) =>
      protectedMethodsOf(host).filter((method) => !isOverridden(method, host)),
    );
    return [...new Set(methods.map(recordsAt))];
  }

  #inspect(records: Records): { report: MethodReport; warnings: ResilienceWarning[] } {
    const method = records[0] as ProtectedMethod;
    const name = method.place;
    const policies = this.#partsOf(records);
    const interceptors = this.#partsOf(interceptorsAround(method));
    const { defaults } = this.registry;
    const { duration, calls } = worstCaseOf(policies);
    return {
      report: {
        name,
        policies: policies.flatMap((policy) => policy.describe()),
        worstCaseDuration: duration,
        worstCaseCalls: calls,
      },
      warnings: findingsOf(policies, { interceptors, defaults }).map((finding) => ({
        method: name,
        ...finding,
      })),
    };
  }

  #partsOf(records: Records): Policy[] {
    return records
      .flatMap((record) => this.registry.policiesOf(record))
      .flatMap((policy) => [...policy.parts()]);
  }
}

/** Whether a class has another method in its place, which may call it or not. */
function isOverridden(method: ProtectedMethod, host: unknown): boolean {
  let level = host as object;
  while (!Object.hasOwn(level, method.key)) level = Object.getPrototypeOf(level) as object;
  const own: unknown = Object.getOwnPropertyDescriptor(level, method.key)?.value;
  return level !== method.target && protectedMethodOf(own) !== method;
}
