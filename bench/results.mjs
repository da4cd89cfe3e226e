import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { format } from 'prettier';

const path = new URL('RESULTS.md', import.meta.url);

const INTRODUCTION = `# Results

Written by \`npm run bench -- --write\`, one section for each Node version it ran under.

How to read the ratios:

- A ratio compares a protected call with the bare one, \`await fn()\` of an \`async\` function, **in the same
  process**. Both loops take turns, each with a call site of its own; the figure is the median over the rounds, and of
  that the median over the processes. Other machines have other nanoseconds; ratios travel better.
- Once a process has used \`AsyncLocalStorage\`, every promise in it gets dearer on Node 20 and 22, the bare loop's too.
  A time limit has a signal and a deadline to hand down and uses it, so its bare loop is slower than that of a breaker:
  compare the nanoseconds as well.
- A peer stands in a line with the policy that comes nearest. opossum has a rolling window instead of consecutive
  failures, and no retry; mollitia and nestjs-resilience have windows only; nestjs-resilience runs everything
  through rxjs, and its time limit through a timer for each call. None of them has a rate limit in the longest line.
- Open breaker: the bare call is an \`async\` function that throws one shared error; both stand in a \`try\`.
- Observable: the bare call subscribes to the same Observable; both go through \`lastValueFrom\`.
- The full named policy is fallback, time limit, retry, breaker, rate limit, bulkhead and attempt time limit.
- "The least by hand" (\`bench/libraries/hand-least.mjs\`) is what no library that does the work can go below: a budget
  under it cannot be met.
- Bytes are what one call allocates, measured without a collection in between.
`;

/** Puts the section of this Node version in the place of its old one; those of other versions stay. */
export async function writeResults(text) {
  const heading = `## Node ${process.versions.node.split('.')[0]}`;
  const sections = existingSections();
  sections.set(heading, `${heading}\n\n${text}\n`);
  const ordered = [...sections].sort(([a], [b]) => a.localeCompare(b)).map(([, body]) => body);
  const markdown = [INTRODUCTION, ...ordered].join('\n');
  writeFileSync(path, await format(markdown, { parser: 'markdown', printWidth: 120 }));
  console.log('Wrote bench/RESULTS.md');
}

function existingSections() {
  if (!existsSync(path)) return new Map();
  const [, ...sections] = readFileSync(path, 'utf8').split(/^(?=## )/m);
  return new Map(sections.map((section) => [section.split('\n', 1)[0], section]));
}
