/**
 * Checks the package as a consumer gets it: packed, unpacked into projects that hold nothing but
 * what each entry says it needs, and loaded there in both module formats.
 */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { ensureBuilt, ensureInstalled, root } from './steps.mjs';

await ensureInstalled();
await ensureInstalled(join(root, 'test/nest11'));
await ensureBuilt();
const { default: ts } = await import('typescript');

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const subpaths = Object.keys(manifest.exports).filter((subpath) => !subpath.endsWith('.json'));
const dependencies = Object.keys(manifest.dependencies);
const peers = Object.keys(manifest.peerDependencies).filter(
  (name) => !manifest.peerDependenciesMeta?.[name]?.optional,
);
/** Packages an entry needs besides the dependencies; the required peers where it is not listed. */
const needs = { './core': [] };
const neededBy = (subpath) => needs[subpath] ?? peers;
const specifierOf = (subpath) => manifest.name + subpath.slice(1);

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'package-check-')));
const failures = [];
let passed = 0;

function check(title, action) {
  try {
    action();
    passed++;
    console.log(`  ok      ${title}`);
  } catch (error) {
    failures.push(title);
    console.log(`  FAILED  ${title}\n${[error.stdout, error.stderr ?? error].join('\n')}`);
  }
}

function node(cwd, ...args) {
  return execFileSync(process.execPath, args, { cwd, encoding: 'utf8', stdio: 'pipe' });
}

function tool(path, ...args) {
  return node(root, join(root, 'node_modules', path), ...args);
}

/** A project with the packed library, its dependencies and these packages, and nothing else. */
function consumer(name, tarball, packages, source = root) {
  const modules = join(folder, name, 'node_modules');
  const library = join(modules, manifest.name);
  mkdirSync(library, { recursive: true });
  const unpack = ['-xzf', relative(folder, tarball), '-C', relative(folder, library)];
  execFileSync('tar', [...unpack, '--strip-components=1'], { cwd: folder });
  for (const wanted of [...dependencies, ...packages]) {
    const place = [source, root].map((home) => join(home, 'node_modules', wanted)).find(existsSync);
    mkdirSync(dirname(join(modules, wanted)), { recursive: true });
    symlinkSync(place, join(modules, wanted), 'junction');
  }
  return join(folder, name);
}

/** Every package reachable from a built file, with the file that names it. */
function packagesReachedFrom(entry, extension, seen = new Map([[entry, []]])) {
  const { importedFiles } = ts.preProcessFile(readFileSync(entry, 'utf8'), true, true);
  for (const { fileName } of importedFiles) {
    if (!fileName.startsWith('.')) {
      seen.get(entry).push(fileName);
      continue;
    }
    const next = join(dirname(entry), fileName.replace(/\.js$/, '') + extension);
    if (!seen.has(next)) packagesReachedFrom(next, extension, seen.set(next, []));
  }
  return [...seen].flatMap(([file, names]) => names.map((name) => ({ file, name })));
}

function checkReach(subpath, format, extension) {
  const allowed = [...dependencies, ...neededBy(subpath)].filter(
    // A declaration that names an untyped package breaks in projects without its @types.
    (name) => extension === '.js' || !manifest.devDependencies[`@types/${name}`],
  );
  const isAllowed = (name) =>
    name.startsWith('node:') || allowed.some((one) => name === one || name.startsWith(`${one}/`));
  const entry = join(root, 'dist', format, subpath, `index${extension}`);
  const strangers = packagesReachedFrom(entry, extension).filter(({ name }) => !isAllowed(name));
  if (strangers.length === 0) return;
  throw new Error(strangers.map(({ file, name }) => `${relative(root, file)}: ${name}`).join('\n'));
}

const exportNames = (load) =>
  `console.log(Object.keys(${load}).filter((k) => k !== 'default' && k !== '__esModule').sort().join())`;
const commonJs = '--no-experimental-require-module';

function checkEntry(subpath, newest, oldest) {
  const specifier = specifierOf(subpath);
  const imported = `await import('${specifier}')`;
  const required = `require('${specifier}')`;
  const esm = ['--input-type=module', '-e', exportNames(`(${imported})`)];
  const cjs = ['--input-type=commonjs', '-e', exportNames(required)];

  check(`${specifier}: import`, () => node(newest, ...esm));
  check(`${specifier}: require`, () => node(newest, ...cjs));
  check(`${specifier}: import and require give one copy`, () =>
    node(
      newest,
      '--input-type=module',
      '-e',
      `import { createRequire } from 'node:module';
       const required = createRequire(process.cwd() + '/')('${specifier}');
       for (const [name, value] of Object.entries(${imported}))
         if (name !== 'default' && required[name] !== value) throw new Error('two copies of ' + name);`,
    ),
  );
  check(`${specifier}: the CommonJS build loads and exports the same names`, () => {
    const [left, right] = [node(oldest, commonJs, ...cjs), node(oldest, ...esm)];
    if (left !== right) throw new Error(`CommonJS: ${left}\nES modules: ${right}`);
  });
  for (const format of ['esm', 'cjs']) {
    check(`${specifier}: ${format} code names no other package`, () =>
      checkReach(subpath, format, '.js'),
    );
    check(`${specifier}: ${format} types name no other package`, () =>
      checkReach(subpath, format, '.d.ts'),
    );
  }
}

try {
  const npm = process.env.npm_execpath;
  const pack = ['pack', '--ignore-scripts', '--json', '--pack-destination', folder];
  const options = { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] };
  const report = npm
    ? execFileSync(process.execPath, [npm, ...pack], options)
    : execFileSync('npm', pack, { ...options, shell: process.platform === 'win32' });
  const tarball = join(folder, JSON.parse(report)[0].filename);

  check('publint --strict', () => tool('publint/src/cli.js', tarball, '--strict'));
  check('attw', () => tool('@arethetypeswrong/cli/dist/index.js', tarball, '--no-color'));
  for (const subpath of subpaths) {
    const name = subpath === '.' ? 'root' : subpath.slice(2);
    const newest = consumer(name, tarball, neededBy(subpath));
    const oldest = consumer(
      `${name}-nest11`,
      tarball,
      neededBy(subpath),
      join(root, 'test/nest11'),
    );
    checkEntry(subpath, newest, oldest);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

console.log(`${passed} package checks passed, ${failures.length} failed`);
process.exitCode = failures.length > 0 ? 1 : 0;
