/** Sets up what is missing, then runs the soak; `--seconds`, `--seed` and `--clients` go to it. */
import { join } from 'node:path';
import { ensureBuilt, ensureInstalled, ensureProgramBuilt, root, run } from './steps.mjs';

await ensureInstalled();
await ensureBuilt();
await ensureProgramBuilt('soak');
const program = join(root, 'soak/dist/main.js');
await run(process.execPath, ['--expose-gc', program, ...process.argv.slice(2)]);
