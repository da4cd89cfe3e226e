import { ensureBuilt, ensureInstalled, ensureSampleBuilt, samples } from './steps.mjs';

await ensureInstalled();
await ensureBuilt();
const names = samples();
for (const name of names) await ensureSampleBuilt(name);
console.log(`${names.length} samples built${names.map((name) => `\n  ${name}`).join('')}`);
