/** Runs the same specs on Nest 11, from its own side install; arguments go to jest. */
import { join } from 'node:path';
import { ensureInstalled, root, runJest } from './steps.mjs';

await ensureInstalled();
await ensureInstalled(join(root, 'test/nest11'));
await runJest(process.argv.slice(2), { NEST_MAJOR: '11' });
