/** Sets up what is missing, then runs a sample: `npm start` the first, `npm start -- 02-name` another. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ensureBuilt, ensureInstalled, ensureSampleBuilt, root, samples } from './steps.mjs';

const [name = '01-payments'] = process.argv.slice(2);
if (!samples().includes(name)) {
  console.error(`There is no sample "${name}". Samples: ${samples().join(', ') || 'none yet'}.`);
  process.exit(1);
}
await ensureInstalled();
await ensureBuilt();
await ensureSampleBuilt(name);

// In this process, so that signals reach the application and its exit code is ours.
const folder = join(root, 'sample', name);
const { main = 'dist/main.js' } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
process.chdir(folder);
await import(pathToFileURL(join(folder, main)));
