/**
 * Runs the specs that meet Nest on Nest 11, from its own side install: the core does not know Nest, so
 * its specs would say the same again. Arguments go to jest; paths among them replace the choice here.
 */
import { join } from 'node:path';
import { ensureInstalled, root, runJest } from './steps.mjs';

const given = process.argv.slice(2);
const paths = given.some((argument) => !argument.startsWith('-'))
  ? []
  : ['test/nest', 'test/e2e', 'test/issues', 'test/rxjs'].map((path) => `${path}/`);

await ensureInstalled();
await ensureInstalled(join(root, 'test/nest11'));
await runJest([...paths, ...given], { NEST_MAJOR: '11' });
