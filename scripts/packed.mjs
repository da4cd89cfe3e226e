/** The library as a consumer gets it, and checks that are counted. */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { root } from './steps.mjs';

export const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
export const subpaths = Object.keys(manifest.exports).filter((path) => !path.endsWith('.json'));
export const dependencies = Object.keys(manifest.dependencies);
/** Where Nest 11 is installed. */
export const nest11 = join(root, 'test/nest11');

/** A folder outside the repository, so that nothing is found above it. */
export function makeFolder() {
  return realpathSync(mkdtempSync(join(tmpdir(), 'package-check-')));
}

export function npm(cwd, ...args) {
  const path = process.env.npm_execpath;
  const options = { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] };
  return path
    ? execFileSync(process.execPath, [path, ...args], options)
    : execFileSync('npm', args, { ...options, shell: process.platform === 'win32' });
}

/** Packs the built library; the path of the tarball. */
export function pack(folder) {
  const report = npm(root, 'pack', '--ignore-scripts', '--json', '--pack-destination', folder);
  return join(folder, JSON.parse(report)[0].filename);
}

/** A project with the packed library, its dependencies and these packages, and nothing else. */
export function makeConsumer(place, tarball, packages, source = root) {
  const modules = join(place, 'node_modules');
  unpack(tarball, join(modules, manifest.name));
  for (const wanted of [...dependencies, ...packages]) {
    const found = [source, root].map((home) => join(home, 'node_modules', wanted)).find(existsSync);
    mkdirSync(dirname(join(modules, wanted)), { recursive: true });
    symlinkSync(found, join(modules, wanted), 'junction');
  }
  return place;
}

export function unpack(tarball, place) {
  mkdirSync(place, { recursive: true });
  // Relative paths: GNU tar takes `C:` for a host.
  const cwd = dirname(tarball);
  const args = ['-xzf', relative(cwd, tarball), '-C', relative(cwd, place)];
  execFileSync('tar', [...args, '--strip-components=1'], { cwd });
}

export function node(cwd, ...args) {
  return execFileSync(process.execPath, args, { cwd, encoding: 'utf8', stdio: 'pipe' });
}

/** Runs a program of the repository's own packages. */
export function tool(cwd, path, ...args) {
  return node(cwd, join(root, 'node_modules', path), ...args);
}

const failures = [];
let passed = 0;

export function check(title, action) {
  const began = performance.now();
  try {
    action();
    passed++;
    console.log(`  ok      ${title} (${Math.round(performance.now() - began)} ms)`);
  } catch (error) {
    failures.push(title);
    const output = [error.stdout, error.stderr ?? error].join('\n');
    console.log(`  FAILED  ${title}\n${output}`);
  }
}

export function summarize() {
  console.log(`${passed} package checks passed, ${failures.length} failed`);
  process.exitCode = failures.length > 0 ? 1 : 0;
}
