import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));
const jest = ['--experimental-vm-modules', 'node_modules/jest/bin/jest.js', '--runInBand'];

/** Runs the suites of `strays/` in a Jest of their own, with the configuration of every other run. */
async function runStrays(...args: string[]) {
  const fixtures = ['--testRegex', String.raw`strays/\w+\.spec-fixture\.ts$`, '--json'];
  const child = spawn(process.execPath, [...jest, ...fixtures, ...args], { cwd: root });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const [json, log] = await Promise.all([text(child.stdout), text(child.stderr)]);
  const { testResults } = JSON.parse(json) as Run;
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults);
  const failed = tests.filter(({ status }) => status === 'failed').map(({ title }) => title);
  return { exitCode: await exited, failed, log };
}

interface Run {
  readonly testResults: readonly {
    readonly assertionResults: readonly { readonly title: string; readonly status: string }[];
  }[];
}

describe('a run of the tests', () => {
  it('fails the test that leaves a rejection or an exception unhandled', async () => {
    const { failed } = await runStrays('--testNamePattern', 'rejection (in|at|handled)|exception');
    expect(failed).toEqual([
      'rejection in a test',
      'rejection at its very end',
      'exception in a callback',
    ]);
  });

  it.each([
    ['another suite runs', 'strays/'],
    ['no other suite follows', 'strays/stray'],
  ])('fails where one comes after the suite that began it, while %s', async (_when, suites) => {
    const { exitCode, log } = await runStrays(suites, '--testNamePattern', 'after the|waits');
    expect(log).toContain('stray after the suite');
    expect(exitCode).toBe(1);
  });

  it('passes where a rejection is handled late', async () => {
    expect(await runStrays('--testNamePattern', 'handled late')).toMatchObject({
      exitCode: 0,
      failed: [],
    });
  });
});
