import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { jest } from '@jest/globals';
import { root, textOf } from './markdown.js';

/** docs/simulation.md shows what its program computes, and says no more than the figures do. */
interface Figures {
  readonly load: number;
  readonly success: number;
}
type Result = Readonly<Record<'before' | 'brown-out' | 'after', Figures>> & {
  readonly recovery: number;
};
interface FleetProgram {
  readonly FLEET: { readonly budgetRatio: number };
  everyStrategy(): Promise<Record<string, Result>>;
  tableOf(results: Record<string, Result>): string;
}

jest.setTimeout(240_000);
const path = join(root, 'docs/programs/fleet.mjs');
const page = textOf('docs/simulation.md');
let program: FleetProgram;
let results: Record<string, Result>;
beforeAll(async () => {
  const stackTraceLimit = Error.stackTraceLimit;
  program = (await import(pathToFileURL(path).href)) as FleetProgram;
  results = await program.everyStrategy();
  Error.stackTraceLimit = stackTraceLimit;
});

const result = (strategy: string): Result => results[strategy] as Result;

it('shows the table of the program', () => {
  expect(page).toContain(`\n\n${program.tableOf(results)}\n\n`);
});

it('a budget keeps the load under (1 + ratio) x base in every phase, plain retries do not', () => {
  const most = 1 + program.FLEET.budgetRatio;
  for (const phase of ['before', 'brown-out', 'after'] as const) {
    expect(result('with a budget')[phase].load).toBeLessThanOrEqual(most);
    expect(result('with all three')[phase].load).toBeLessThanOrEqual(most);
  }
  expect(result('plain retries')['brown-out'].load).toBeGreaterThan(3);
});

it('plain retries keep the dependency down after the brown-out, everything else recovers', () => {
  const { 'plain retries': plain, ...others } = results;
  expect(plain).toMatchObject({ recovery: Infinity, after: { success: 0 } });
  for (const { recovery } of Object.values(others)) expect(recovery).toBeLessThan(60);
});

it('a breaker and a throttle take load away, and more calls are answered for it', () => {
  const without = result('no retries')['brown-out'];
  for (const strategy of ['with a breaker', 'with a throttle', 'with all three']) {
    const { load, success } = result(strategy)['brown-out'];
    expect(load).toBeLessThan(0.75);
    expect(success).toBeGreaterThan(2 * without.success);
  }
});

it('its text repeats the figures of the table', () => {
  const { 'brown-out': during, after } = result('plain retries');
  expect(page).toContain(`They send ${during.load.toFixed(2)} requests for a call`);
  const perSecond = (5 * Math.round(after.load * 100)).toLocaleString('en');
  expect(page).toContain(`they make ${perSecond} requests a second`);
  const budget = result('with a budget')['brown-out'].load;
  expect(page).toContain(`no more than ${budget.toFixed(2)} requests for a call`);
});
