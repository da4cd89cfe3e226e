/** Sets up what is missing, then checks everything; arguments go to jest. */
import { ensureInstalled, runJest, runTool } from './steps.mjs';

await ensureInstalled();
await runTool('typescript/bin/tsc', '--noEmit');
await runTool('eslint/bin/eslint.js', '.');
await runTool('prettier/bin/prettier.cjs', '--check', '.');
await runJest(process.argv.slice(2));
