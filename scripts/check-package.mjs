/**
 * Checks the package as a consumer gets it: packed, unpacked into projects that hold nothing but
 * what each entry says it needs, and loaded there in both module formats.
 */
import { readFileSync, rmSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import {
  check,
  dependencies,
  makeConsumer,
  makeFolder,
  manifest,
  nest11,
  node,
  pack,
  subpaths,
  summarize,
  tool,
} from './packed.mjs';
import { ensureBuilt, ensureInstalled, root } from './steps.mjs';

await ensureInstalled();
await ensureInstalled(nest11);
await ensureBuilt();
const { default: ts } = await import('typescript');

const peers = Object.keys(manifest.peerDependencies).filter(
  (name) => !manifest.peerDependenciesMeta?.[name]?.optional,
);
/** Packages an entry needs besides the dependencies; the required peers where it is not listed. */
const needs = { './core': [] };
const neededBy = (subpath) => needs[subpath] ?? peers;
const specifierOf = (subpath) => manifest.name + subpath.slice(1);

const folder = makeFolder();

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
  const tarball = pack(folder);

  check('publint --strict', () => tool(root, 'publint/src/cli.js', tarball, '--strict'));
  check('attw', () => tool(root, '@arethetypeswrong/cli/dist/index.js', tarball, '--no-color'));
  for (const subpath of subpaths) {
    const name = subpath === '.' ? 'root' : subpath.slice(2);
    const needed = neededBy(subpath);
    const newest = makeConsumer(join(folder, name), tarball, needed);
    const oldest = makeConsumer(join(folder, `${name}-nest11`), tarball, needed, nest11);
    checkEntry(subpath, newest, oldest);
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

summarize();
