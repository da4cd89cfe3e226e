import { fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const PATIENCE = 120_000;
const FLAGS = {
  // Room for all that a measurement allocates: a collection in between would hide it.
  bytes: ['--min-semi-space-size=64', '--max-semi-space-size=64'],
  idle: ['--max-old-space-size=6144'],
};

/** Runs one task in a fresh process: what one measurement leaves in a process must not reach another. */
export function runChild(task) {
  const execArgv = ['--expose-gc', '--no-warnings', ...(FLAGS[task.program] ?? [])];
  const path = fileURLToPath(new URL('child.mjs', import.meta.url));
  return new Promise((resolve) => {
    const child = fork(path, [JSON.stringify(task)], { execArgv });
    let answer;
    const timer = setTimeout(() => {
      answer ??= { failed: `took longer than ${PATIENCE / 1_000} s` };
      child.kill('SIGKILL');
    }, PATIENCE);
    child.once('message', (message) => (answer = message));
    child.once('exit', (code) => {
      clearTimeout(timer);
      resolve(answer ?? { failed: `ended with code ${code}` });
    });
  });
}
