/**
 * An `undefined` option counts as absent, for the compiler of those who have set
 * `exactOptionalPropertyTypes` too: what is decided elsewhere is often handed on as it is.
 */
import { join } from 'node:path';
import {
  CircuitBreaker,
  CircuitBreakerError,
  type CircuitState,
  type Clock,
  EventHub,
  type Logger,
  RetryBudget,
  RetryExhaustedError,
  type RetryExhaustedReason,
  type RuntimeOptions,
} from 'nestjs-bulwark/core';
import type { HealthCheckOptions, ResilienceModuleAsyncOptions } from 'nestjs-bulwark';
import ts from 'typescript';
import { down } from '../support/lab.js';

it('for the compiler', () => {
  const { config } = ts.readConfigFile('tsconfig.json', (path) => ts.sys.readFile(path)) as {
    config: object;
  };
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, process.cwd());
  const file = join(process.cwd(), 'test/issues/undefined-is-absent.spec.ts');
  const program = ts.createProgram([file], { ...options, exactOptionalPropertyTypes: true });
  const said = program.getSemanticDiagnostics(program.getSourceFile(file));
  expect(said.map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, ' '))).toEqual(
    [],
  );
}, 60_000);

/** What is decided elsewhere, and left out there. */
const elsewhere: {
  clock?: Clock;
  random?: () => number;
  logger?: Logger;
  events?: EventHub;
  runtime?: RuntimeOptions;
  name?: string;
  state?: CircuitState;
  reason?: RetryExhaustedReason;
  policy?: string;
  after?: number;
  health?: { breakers?: string[]; failOn?: 'never' };
  useClass?: never;
} = {};

it('of a runtime', async () => {
  const { clock, random, logger, events } = elsewhere;
  const runtime: RuntimeOptions = { clock, random, logger, events };
  expect(await new CircuitBreaker('b', {}, { runtime }).execute(() => 'fine')).toBe('fine');
  const budget = new RetryBudget({}, { runtime: elsewhere.runtime, name: elsewhere.name });
  expect(budget.balance).toBe(100);
});

it('of a health check and of options that come later, for the compiler', () => {
  const { breakers, failOn } = elsewhere.health ?? {};
  const check: HealthCheckOptions = { breakers, failOn };
  const { useClass } = elsewhere;
  const options: ResilienceModuleAsyncOptions = {
    useClass,
    useExisting: useClass,
    inject: useClass,
    useFactory: useClass,
  };
  expect([check, options]).toHaveLength(2);
});

it('of errors that a test makes', () => {
  const { state, reason } = elsewhere;
  expect(new CircuitBreakerError('b', { state })).toMatchObject({ state: 'open' });
  const exhausted = new RetryExhaustedError({ attempts: 1, lastException: down, reason });
  expect(exhausted.reason).toBe('attempts');
});

it('of a look at the events that are kept', () => {
  const hub = new EventHub(() => 0, console, 10);
  new CircuitBreaker('b', {}, { runtime: { events: hub } }).isolate();
  const { policy, after } = elsewhere;
  const recent = hub.recent({ policy, after });
  expect(recent.map(({ type }) => type)).toEqual(['breaker.isolated']);
});
