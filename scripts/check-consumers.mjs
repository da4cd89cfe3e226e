/**
 * Installs the packed library into fresh projects of every kind, type checks them with the declarations
 * of all libraries, boots them, opens a circuit in each and closes them. Ends with what the root import
 * costs.
 */
import {
  copyFileSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import {
  check,
  makeConsumer,
  makeFolder,
  manifest,
  nest11,
  node,
  npm,
  pack,
  summarize,
  tool,
  unpack,
} from './packed.mjs';
import { ensureBuilt, ensureInstalled, root } from './steps.mjs';

await ensureInstalled();
await ensureInstalled(nest11);
await ensureBuilt();
const { default: ts } = await import('typescript');
const { transformFileSync } = await import('@swc/core');

const sources = join(root, 'test/packaging/consumers');
/** What the application imports, and what its types need. */
const used = [
  '@nestjs/common',
  '@nestjs/core',
  '@nestjs/platform-express',
  'reflect-metadata',
  'rxjs',
];
const types = ['@types/node'];
const compilerOptions = {
  target: 'es2023',
  lib: ['es2023', 'esnext.disposable'],
  module: 'nodenext',
  moduleResolution: 'nodenext',
  strict: true,
  exactOptionalPropertyTypes: true,
  skipLibCheck: false,
  experimentalDecorators: true,
  emitDecoratorMetadata: true,
  types: ['node'],
};

const tsc = (place, ...args) => tool(place, 'typescript/bin/tsc', '-p', place, ...args);
const buildWithTsc = { title: 'built with tsc, nodenext', run: (place) => tsc(place) };
const typecheck = { title: 'types, moduleResolution bundler', run: (place) => tsc(place) };
const buildWithSwc = {
  title: 'built with swc, types, nodenext',
  run(place) {
    tsc(place, '--noEmit');
    const { code } = transformFileSync(join(place, 'app.ts'), {
      swcrc: false,
      jsc: {
        parser: { syntax: 'typescript', decorators: true },
        transform: { legacyDecorator: true, decoratorMetadata: true },
        target: 'es2023',
      },
      module: { type: 'commonjs' },
    });
    writeFileSync(join(place, 'app.js'), code);
  },
};

const folder = makeFolder();
try {
  const tarball = pack(folder);
  checkInstalled(tarball);
  checkLinked(tarball, { name: 'nest12-cjs', type: 'commonjs' });
  checkLinked(tarball, {
    name: 'nest11-cjs',
    type: 'commonjs',
    source: nest11,
    build: buildWithSwc,
  });
  checkLinked(tarball, {
    name: 'bundler',
    type: 'module',
    options: { module: 'esnext', moduleResolution: 'bundler', noEmit: true },
    build: typecheck,
  });
  checkTwoCopies(tarball);
  measureImport(tarball);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
summarize();

/** The whole way of a user: npm resolves, installs and links everything. */
function checkInstalled(tarball) {
  const place = join(folder, 'nest12-esm');
  const wanted = [...used, ...types].map((name) => [name, manifest.devDependencies[name]]);
  const installed = { ...Object.fromEntries(wanted), [manifest.name]: `file:${tarball}` };
  writeProject(place, { type: 'module', dependencies: installed });
  check('nest12-esm: npm install of the tarball', () => {
    npm(place, 'install', '--prefer-offline', '--no-audit', '--no-fund', '--no-package-lock');
  });
  check('nest12-esm: npm finds no peer missing or wrong', () => npm(place, 'ls', '--all'));
  buildAndRun(place, 'nest12-esm', buildWithTsc);
}

function checkLinked(tarball, { name, type, source, options, build = buildWithTsc }) {
  const place = join(folder, name);
  writeProject(place, { type }, options);
  makeConsumer(place, tarball, [...used, ...types], source);
  buildAndRun(place, name, build);
}

function buildAndRun(place, name, build) {
  check(`${name}: ${build.title}`, () => build.run(place));
  if (build !== typecheck) check(`${name}: runs`, () => node(place, 'app.js'));
}

function writeProject(place, extra, options = {}) {
  mkdirSync(place, { recursive: true });
  const project = { name: 'consumer', version: '1.0.0', private: true, ...extra };
  writeFileSync(join(place, 'package.json'), JSON.stringify(project));
  const config = { compilerOptions: { ...compilerOptions, ...options }, files: ['app.ts'] };
  writeFileSync(join(place, 'tsconfig.json'), JSON.stringify(config));
  copyFileSync(join(sources, 'app.ts'), join(place, 'app.ts'));
}

function checkTwoCopies(tarball) {
  const place = makeConsumer(join(folder, 'two-copies'), tarball, used);
  const dependency = join(place, 'node_modules/dependency/node_modules');
  unpack(tarball, join(dependency, manifest.name));
  for (const name of Object.keys(manifest.dependencies)) {
    symlinkSync(join(root, 'node_modules', name), join(dependency, name), 'junction');
  }
  for (const [program, title] of [
    ['two-copies.mjs', 'two copies of the library recognise each other'],
    ['two-copies-methods.mjs', 'methods of two copies run under their own policies'],
  ]) {
    copyFileSync(join(sources, program), join(place, program));
    check(title, () => node(place, program));
  }
}

/** Prints what `import 'nestjs-bulwark'` costs an application that has loaded Nest already. */
function measureImport(tarball) {
  const place = makeConsumer(join(folder, 'size'), tarball, used);
  const library = join(place, 'node_modules', manifest.name);
  const files = [...filesFrom(join(library, manifest.exports['.'].import.default))];
  const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0);
  const zipped = files.reduce((sum, file) => sum + gzipSync(readFileSync(file)).length, 0);
  const script = `
    await import('reflect-metadata');
    await import('@nestjs/common');
    await import('@nestjs/core');
    await import('rxjs');
    const began = performance.now();
    await import('${manifest.name}');
    console.log(performance.now() - began);`;
  const times = Array.from({ length: 5 }, () =>
    Number(node(place, '--input-type=module', '-e', script)),
  ).sort((a, b) => a - b);
  console.log(
    `  The root import: ${Math.round(times[2])} ms (median of 5, after Nest), ` +
      `${files.length} files, ${kilobytes(bytes)} (${kilobytes(zipped)} zipped); ` +
      `the tarball: ${kilobytes(statSync(tarball).size)}`,
  );
}

/** A built file and all of the library's own that it imports. */
function filesFrom(entry, seen = new Set()) {
  seen.add(entry);
  const { importedFiles } = ts.preProcessFile(readFileSync(entry, 'utf8'), true, true);
  for (const { fileName } of importedFiles) {
    const next = join(dirname(entry), fileName);
    if (fileName.startsWith('.') && !seen.has(next)) filesFrom(next, seen);
  }
  return seen;
}

function kilobytes(bytes) {
  return `${(bytes / 1024).toFixed(1)} kB`;
}
