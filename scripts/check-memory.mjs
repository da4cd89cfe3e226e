/** Measures that nothing is kept of calls and keys: each case in a process of its own, on the built library. */
import { spawnSync } from 'node:child_process';
import { ensureBuilt, ensureInstalled } from './steps.mjs';

const [, program, only] = process.argv;
/** Optimised code and dropped bytecode are heap too, and come and go by tens of kilobytes. */
const flags = ['--expose-gc', '--no-opt', '--no-maglev', '--no-sparkplug', '--no-flush-bytecode'];

if (only === undefined) {
  await ensureInstalled();
  await ensureBuilt();
  const { cases } = await import('./memory-cases.mjs');
  let failures = 0;
  for (const [name, { times, bytes }] of Object.entries(cases)) {
    const child = spawnSync(process.execPath, [...flags, program, name], { encoding: 'utf8' });
    const grown = child.status === 0 ? Number(child.stdout) : NaN;
    const holds = grown <= bytes;
    if (!holds) failures++;
    const title = `${holds ? 'ok     ' : 'FAILED '} ${name}: ${grown} bytes of at most ${bytes}`;
    console.log(`  ${title}, after ${times} calls\n${child.stderr}`.trimEnd());
  }
  process.exitCode = failures === 0 ? 0 : 1;
} else {
  const { cases, growthOf } = await import('./memory-cases.mjs');
  console.log(growthOf(cases[only]));
}
