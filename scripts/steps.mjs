/** The steps the commands share. Node's own modules only: they run before the first install. */
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { constants } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const stamps = join(root, 'node_modules/.cache/nestjs-bulwark');

endWithParent();

/** Runs a program to its end; a failure ends this process with the same exit code. */
export function run(command, args, options = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, stdio: 'inherit', ...options });
    // A terminal sends Ctrl-C to the child itself; every other signal is passed on.
    const passOn = (signal) => {
      if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
    };
    const signals = ['SIGINT', 'SIGTERM'];
    for (const signal of signals) process.on(signal, passOn);
    child.once('error', reject);
    child.once('exit', (code, signal) => {
      for (const name of signals) process.off(name, passOn);
      if (code === 0) resolve();
      else process.exit(code ?? 128 + constants.signals[signal]);
    });
  });
}

/** Runs a program of an installed package, such as `node_modules/typescript/bin/tsc`. */
export function runTool(path, ...args) {
  return run(process.execPath, [join(root, 'node_modules', path), ...args]);
}

export function runJest(args, environment = {}) {
  const jest = ['--experimental-vm-modules', join(root, 'node_modules/jest/bin/jest.js')];
  return run(process.execPath, [...jest, ...args], { env: { ...process.env, ...environment } });
}

/** Runs `npm ci` in a folder unless its node_modules already hold what its lock file asks for. */
export async function ensureInstalled(folder = root) {
  if (holdsWhatIsLocked(folder)) return;
  console.log(`Installing dependencies in ${folder} ...`);
  await runNpm(['ci', '--include=dev'], folder);
}

function runNpm(args, cwd) {
  const npm = process.env.npm_execpath ?? '';
  return /^npm.*js$/.test(basename(npm))
    ? run(process.execPath, [npm, ...args], { cwd })
    : run('npm', args, { cwd, shell: process.platform === 'win32' });
}

/** npm ends an install by writing down what it installed, in the form of the lock file. */
function holdsWhatIsLocked(folder) {
  const record = join(folder, 'node_modules/.package-lock.json');
  if (!existsSync(record)) return false;
  const wanted = readJson(join(folder, 'package-lock.json')).packages;
  const installed = readJson(record).packages;
  return Object.entries(wanted).every(
    ([path, { version, optional }]) =>
      path === '' || optional || installed[path]?.version === version,
  );
}

const librarySources = [
  'lib',
  'package.json',
  'nest-cli.json',
  'tsconfig.json',
  'tsconfig.build.json',
  'tsconfig.cjs.json',
];

/** Compiles lib/ twice, to dist/esm and dist/cjs. */
export async function build() {
  console.log('Building the library ...');
  rmSync(join(root, 'dist'), { recursive: true, force: true });
  for (const [format, project, type] of [
    ['esm', 'tsconfig.build.json', 'module'],
    ['cjs', 'tsconfig.cjs.json', 'commonjs'],
  ]) {
    await runTool('@nestjs/cli/bin/nest.js', 'build', '-p', project);
    writeFileSync(join(root, 'dist', format, 'package.json'), `${JSON.stringify({ type })}\n`);
  }
  remember('dist', librarySources);
}

export async function ensureBuilt() {
  if (!isFresh('dist', librarySources)) await build();
}

/** The names of the samples, in reading order. */
export function samples() {
  const folder = join(root, 'sample');
  if (!existsSync(folder)) return [];
  return readdirSync(folder)
    .filter((name) => existsSync(join(folder, name, 'tsconfig.json')))
    .sort();
}

/** Compiles sample/<name>/src to sample/<name>/dist; needs the built library. */
export async function ensureSampleBuilt(name) {
  linkLibrary();
  await ensureProgramBuilt(`sample/${name}`);
}

/** Compiles <folder>/src to <folder>/dist; needs the built library. */
export async function ensureProgramBuilt(folder) {
  const output = `${folder}/dist`;
  const sources = [`${folder}/src`, `${folder}/tsconfig.json`, `${folder}/package.json`, 'dist'];
  if (isFresh(output, sources)) return;
  console.log(`Building ${folder} ...`);
  rmSync(join(root, output), { recursive: true, force: true });
  const emit = ['--noEmit', 'false', '--outDir', output, '--rootDir', `${folder}/src`];
  await runTool('typescript/bin/tsc', '-p', `${folder}/tsconfig.json`, ...emit);
  remember(output, sources);
}

/** Samples find the library where an installed copy would be, and all else in our node_modules. */
function linkLibrary() {
  const link = join(root, 'sample/node_modules/nestjs-bulwark');
  if (existsSync(link)) return;
  mkdirSync(dirname(link), { recursive: true });
  rmSync(link, { force: true });
  symlinkSync(join('..', '..'), link, 'junction');
}

/** Whether an output exists and was made from sources with the same content. */
function isFresh(output, sources) {
  const stamp = stampOf(output);
  if (!existsSync(join(root, output)) || !existsSync(stamp)) return false;
  return readFileSync(stamp, 'utf8') === fingerprint(sources);
}

function remember(output, sources) {
  mkdirSync(stamps, { recursive: true });
  writeFileSync(stampOf(output), fingerprint(sources));
}

function stampOf(output) {
  return join(stamps, output.replaceAll('/', '-'));
}

function fingerprint(paths) {
  const hash = createHash('sha256');
  for (const file of paths.flatMap(filesIn))
    hash.update(`${file}\0`).update(readFileSync(join(root, file)));
  return hash.digest('hex');
}

function filesIn(path) {
  const place = join(root, path);
  if (!existsSync(place)) return [];
  if (statSync(place).isFile()) return [path];
  return readdirSync(place)
    .sort()
    .flatMap((name) => filesIn(`${path}/${name}`));
}

/** npm sends SIGTERM to the shell between us, and many a shell dies without passing it on. */
function endWithParent() {
  if (!process.env.npm_lifecycle_event || process.platform === 'win32') return;
  const parent = process.ppid;
  const watch = setInterval(() => {
    if (process.ppid === parent) return;
    clearInterval(watch);
    process.kill(process.pid, 'SIGTERM');
  }, 200).unref();
}

function readJson(path) {
  return JSON.parse(readFileSync(path, 'utf8'));
}
