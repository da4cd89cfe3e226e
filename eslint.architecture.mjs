/**
 * The two rules of the architecture that a compiler does not see.
 *
 * 1. Imports point one way: core <- rxjs <- nest <- decorators <- subpath entries. The root entry
 *    joins everything but the subpaths, which nobody imports: each may need an optional peer.
 * 2. Time and chance enter through lib/core/runtime.ts only, so that a test can hold them still.
 */
import { readdirSync, readFileSync } from 'node:fs';

const root = new URL('.', import.meta.url);
const { dependencies } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));
const runtimePackages = Object.keys(dependencies);
const nestPackages = ['rxjs', 'reflect-metadata', '@nestjs/common', '@nestjs/core'];

/** What each layer may import: folders of lib/, and packages besides the runtime dependencies. */
const layers = {
  core: { folders: [], packages: [] },
  rxjs: { folders: ['core'], packages: ['rxjs'] },
  nest: { folders: ['core', 'rxjs'], packages: nestPackages },
  decorators: { folders: ['core', 'rxjs', 'nest'], packages: nestPackages },
};
const layerNames = Object.keys(layers);
const subpaths = ['testing', 'redis', 'prometheus', 'opentelemetry', 'dashboard'];
const folders = [...new Set([...layerNames, ...subpaths, ...foldersOf('lib/')])];

const list = (names) => names.join(', ') || 'none';
const alternatives = (names) => names.map((name) => name.replace(/[/.]/g, '\\$&')).join('|');

/** Relative imports that climb out of their folder into one of these. */
function foldersPattern(names, message) {
  return { regex: `^(?:\\.\\.?/)+(?:${alternatives(names)})/`, message };
}

/** Anything that is neither relative, nor `node:`, nor one of these packages. */
function packagesPattern(names, message) {
  return { regex: `^(?!\\.|node:|(?:${alternatives(names)})(?:/|$))`, message };
}

const everywhere = [
  {
    regex: '^(?:node:)?(?:timers|perf_hooks)(?:/|$)',
    message:
      'Take time from the Runtime (lib/core/runtime.ts): fake timers do not reach this module.',
  },
  { regex: '^nestjs-bulwark(?:/|$)', message: 'Import the file itself, by a relative path.' },
];

function restrictImports(files, patterns) {
  const rule = ['error', { patterns: [...everywhere, ...patterns] }];
  return { files, rules: { 'no-restricted-imports': rule } };
}

function layerRules([layer, allowed]) {
  const barred = folders.filter((name) => name !== layer && !allowed.folders.includes(name));
  const packages = [...runtimePackages, ...allowed.packages];
  return restrictImports(
    [`lib/${layer}/**/*.ts`],
    [
      foldersPattern(barred, `Folders lib/${layer} may import: ${list(allowed.folders)}.`),
      packagesPattern(packages, `Packages lib/${layer} may import: ${list(packages)}, node:*.`),
      { regex: '^(?:\\.\\./)+index\\.js$', message: 'Import the file itself, not an entry above.' },
    ],
  );
}

function subpathRules(subpath) {
  const others = folders.filter((name) => !layerNames.includes(name) && name !== subpath);
  return restrictImports(
    [`lib/${subpath}/**/*.ts`],
    [
      foldersPattern(
        others,
        'A subpath entry is imported by nobody: it may need an optional peer.',
      ),
    ],
  );
}

const subpathFolders = folders.filter((name) => !layerNames.includes(name));

/** @type {import('eslint').Linter.Config[]} */
export const importDirection = [
  ...Object.entries(layers).map(layerRules),
  ...subpathFolders.map(subpathRules),
  restrictImports(
    ['lib/*.ts'],
    [foldersPattern(subpathFolders, 'The root entry works without any optional peer.')],
  ),
];

const useRuntime =
  'Take it from the Runtime (lib/core/runtime.ts), so that a test can hold it still.';
const globals = ['Date', 'performance'].concat(
  ['Timeout', 'Interval', 'Immediate'].flatMap((timer) => [`set${timer}`, `clear${timer}`]),
);
const properties = [
  ['Math', 'random'],
  ['crypto', 'getRandomValues'],
  ['crypto', 'randomUUID'],
  ['process', 'hrtime'],
  ['process', 'uptime'],
  ['AbortSignal', 'timeout'],
];

/** @type {import('eslint').Linter.Config[]} */
export const ambientTimeAndChance = [
  {
    files: ['lib/**/*.ts'],
    ignores: ['lib/core/runtime.ts'],
    rules: {
      'no-restricted-globals': [
        'error',
        {
          globals: globals.map((name) => ({ name, message: useRuntime })),
          checkGlobalObject: true,
        },
      ],
      'no-restricted-properties': [
        'error',
        ...properties.map(([object, property]) => ({ object, property, message: useRuntime })),
      ],
    },
  },
];

function foldersOf(path) {
  try {
    const entries = readdirSync(new URL(path, root), { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  } catch {
    return [];
  }
}
