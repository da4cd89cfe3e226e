/**
 * Changes lib/core in thousands of small ways, one at a time, and has the specs find each of them.
 *
 *   npm run mutation                       all of lib/core; fails where less than 95% are found
 *   npm run mutation -- lib/core/retry     what is in these folders or files
 *   npm run mutation -- --changed          only lines changed since a base, and only to tell
 *     --base REF      default: where the branch left origin/main; on it, the commit before
 *     --seconds N     stop after so long and say what was not tried
 *   --least N         fail where less than N% are found
 */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { ensureInstalled, root } from './steps.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    changed: { type: 'boolean', default: false },
    base: { type: 'string' },
    seconds: { type: 'string' },
    least: { type: 'string' },
  },
});
const output = join(root, '.mutation');
const report = join(output, 'report.json');
const found = ['Killed', 'Timeout'];
const missed = ['Survived', 'NoCoverage'];

await ensureInstalled();
const mutate = values.changed ? changedLines() : whatIsIn(positionals);
if (mutate !== undefined) await testMutants(mutate);

async function testMutants(patterns) {
  mkdirSync(output, { recursive: true });
  rmSync(report, { force: true });
  const finished = await runStryker(patterns.length > 0 ? ['--mutate', patterns.join(',')] : []);
  if (!finished) return;
  const { files } = JSON.parse(readFileSync(report, 'utf8'));
  const mutants = Object.entries(files).flatMap(([file, { mutants: list }]) =>
    list.map(({ status }) => ({ file, status })),
  );
  printTable(mutants);
  const least = Number(values.least ?? (values.changed ? 0 : 95));
  if (tallyOf(mutants).score < least) {
    console.log(`Less than ${least}% were found.`);
    process.exitCode = 1;
  }
}

/** Resolves with whether it came to its end; one that runs too long is ended with all its workers. */
function runStryker(args) {
  const stryker = join(root, 'node_modules/@stryker-mutator/core/bin/stryker.js');
  const config = 'test/mutation/stryker.config.mjs';
  const child = spawn(process.execPath, [stryker, 'run', config, ...args], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    detached: true, // a group of its own: a worker caught in an endless loop hears no signal but SIGKILL
  });
  const end = () => process.kill(-child.pid, 'SIGKILL');
  const endWith = (code) => () => {
    end();
    process.exit(code);
  };
  process.on('SIGINT', endWith(130));
  process.on('SIGTERM', endWith(143));
  return new Promise((resolve, reject) => {
    let tooLong = false;
    const limit =
      values.seconds &&
      setTimeout(
        () => {
          tooLong = true;
          end();
        },
        Number(values.seconds) * 1000,
      );
    child.once('error', reject);
    child.once('exit', (code) => {
      clearTimeout(limit);
      if (tooLong) {
        console.log(
          `\nSKIPPED: not done after ${values.seconds} s; what the last line above does not count as ` +
            'tested was not tried. All of it: npm run mutation -- --changed',
        );
        rmSync(join(output, 'sandbox'), { recursive: true, force: true });
        resolve(false);
      } else if (code === 0 && existsSync(report)) resolve(true);
      else process.exit(code || 1);
    });
  });
}

function whatIsIn(places) {
  return places.map((place) =>
    place.endsWith('.ts') ? place : `${place.replace(/\/$/, '')}/**/*.ts`,
  );
}

/** As `file:first-last`, or undefined where there is nothing to do. */
function changedLines() {
  const base = values.base ?? defaultBase();
  if (base === undefined) return nothingToDo('there is no commit to compare with');
  const since = git('rev-parse', '--short', base);
  const patterns = [];
  let file;
  for (const line of git('diff', '--unified=0', '--no-renames', base, '--', 'lib/core').split(
    '\n',
  )) {
    if (line.startsWith('+++ ')) file = line.slice('+++ b/'.length);
    const hunk = /^@@ -\S+ \+(\d+)(?:,(\d+))? @@/.exec(line);
    if (hunk === null || file === 'lib/core/index.ts') continue;
    const [first, count] = [Number(hunk[1]), Number(hunk[2] ?? 1)];
    if (count > 0) patterns.push(`${file}:${first}-${first + count - 1}`);
  }
  const added = git('ls-files', '--others', '--exclude-standard', 'lib/core').split('\n');
  patterns.push(...added.filter((path) => path.endsWith('.ts')));
  if (patterns.length === 0) return nothingToDo(`no line of lib/core has changed since ${since}`);
  console.log(
    `Changed in lib/core since ${since}:\n${patterns.map((one) => `  ${one}`).join('\n')}`,
  );
  return patterns;
}

function nothingToDo(why) {
  console.log(`Nothing to mutate: ${why}.`);
  return undefined;
}

function defaultBase() {
  const head = git('rev-parse', 'HEAD');
  const fork = tryGit('merge-base', 'HEAD', 'origin/main');
  if (fork !== undefined && fork !== head) return fork;
  return tryGit('rev-parse', '--verify', '--quiet', 'HEAD~1');
}

function git(...args) {
  return execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();
}

function tryGit(...args) {
  try {
    return execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: 'pipe' }).trim();
  } catch {
    return undefined;
  }
}

function tallyOf(mutants) {
  const count = (...statuses) => mutants.filter(({ status }) => statuses.includes(status)).length;
  const tried = count(...found, ...missed);
  return {
    tried,
    killed: count('Killed'),
    timeout: count('Timeout'),
    survived: count('Survived'),
    uncovered: count('NoCoverage'),
    score: tried === 0 ? 100 : (100 * count(...found)) / tried,
  };
}

function printTable(mutants) {
  const rows = [...groupedByFolder(mutants)].sort(([a], [b]) => a.localeCompare(b));
  console.log('\n| folder | mutants | killed | timeout | survived | no coverage | score |');
  console.log('| --- | ---: | ---: | ---: | ---: | ---: | ---: |');
  for (const [folder, list] of [...rows, ['all', mutants]]) {
    const { tried, killed, timeout, survived, uncovered, score } = tallyOf(list);
    const cells = [folder, tried, killed, timeout, survived, uncovered, `${score.toFixed(1)}%`];
    if (tried > 0) console.log(`| ${cells.join(' | ')} |`);
  }
}

function groupedByFolder(mutants) {
  const folders = new Map();
  for (const mutant of mutants) {
    const folder = dirname(mutant.file);
    folders.set(folder, [...(folders.get(folder) ?? []), mutant]);
  }
  return folders;
}
