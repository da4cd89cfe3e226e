import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { pathToFileURL } from 'node:url';
import { format } from 'node:util';
import { jest } from '@jest/globals';
import type { Type } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { currentAttempt } from 'nestjs-bulwark/core';
import { BlockProgram } from './block-program.js';
import { type CodeBlock, anchorsOf, blocksOf, linksOf, pages, root } from './markdown.js';

/** README.md and docs/: every code block compiles, what can run does, and every link leads somewhere. */
const blocks = pages().flatMap((page) => blocksOf(page));
const examples = blocks.filter(({ language }) => language === 'ts');
const commands = blocks.filter(({ language }) => ['bash', 'sh', 'console'].includes(language));
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>;
};

const place = ({ page, line }: { page: string; line: number }): string => `${page}:${String(line)}`;
const rows = <T extends { page: string; line: number }>(items: readonly T[]): [string, T][] =>
  items.map((item) => [place(item), item]);

// Inside node_modules: examples find the packages, and no tool takes them for sources.
const cache = join(root, 'node_modules/.cache/nestjs-bulwark');
mkdirSync(cache, { recursive: true });
const output = mkdtempSync(join(cache, 'docs-'));
const program = new BlockProgram(examples);
program.emit(output);
afterAll(() => rmSync(output, { recursive: true, force: true }));

const run = (block: CodeBlock): Promise<unknown> =>
  import(pathToFileURL(program.outputOf(block, output)).href);

/** The comments behind the `console.log` lines of a block. */
function promisedOutput({ code }: CodeBlock): string[] {
  return [...code.matchAll(/^ *console\.log\(.*\); \/\/ (.*)$/gm)].map(([, text = '']) => text);
}

it('finds the examples', () => {
  expect(examples.filter(({ page }) => page === 'README.md').length).toBeGreaterThan(15);
});

describe('compiles', () => {
  it.each(rows(examples))('%s', (_place, block) => {
    expect(program.problems(block)).toEqual([]);
  });
});

describe('runs', () => {
  // The first question of a process, from outside, may get the answer of a call that a block has left hanging.
  beforeAll(() => void currentAttempt());

  it.each(rows(examples.filter(({ directives }) => directives.has('run'))))(
    '%s',
    async (_place, block) => {
      const log = jest.spyOn(console, 'log').mockReturnValue();
      await run(block);
      const printed = log.mock.calls.map((call) => format(...call));
      log.mockRestore();
      expect(printed).toEqual(promisedOutput(block));
    },
  );
});

describe('starts', () => {
  it.each(rows(examples.filter(({ directives }) => directives.has('boot'))))(
    '%s',
    async (_place, block) => {
      const exported = (await run(block)) as Record<string, Type>;
      const module = exported[block.directives.get('boot') ?? ''] as Type;
      const app = await Test.createTestingModule({ imports: [module] }).compile();
      await expect(app.init()).resolves.toBe(app);
      await app.close();
    },
  );
});

// A service made without a module warns of its default options, as the page says.
beforeAll(() => void jest.spyOn(console, 'warn').mockReturnValue());

// Test files register their tests when they are loaded, so a broken one must not be.
for (const block of examples.filter(({ directives }) => directives.has('test'))) {
  if (program.problems(block).length === 0) await run(block);
}

describe('names npm scripts that exist', () => {
  it.each(rows(commands))('%s', (_place, { code }) => {
    const named = [...code.matchAll(/\bnpm (?:run ([\w:-]+)|(start|test)\b)/g)];
    const unknown = named.map(([, script, short]) => script ?? short ?? '');
    expect(unknown.filter((name) => !(name in scripts))).toEqual([]);
  });
});

it('shows the lines that `npm start` prints', () => {
  const printed = readFileSync(join(root, 'sample/01-payments/src/things-to-try.ts'), 'utf8')
    .replaceAll('${shop}', 'http://localhost:3000')
    .replaceAll('${provider}', 'http://localhost:3001')
    .split('\n')
    .map((line) => line.trim());
  const shown = commands.flatMap(({ code }) => code.split('\n'));
  const lines = shown.filter((line) => line.startsWith('curl'));
  expect(lines.length).toBeGreaterThan(3);
  expect(printed).toEqual(expect.arrayContaining(lines));
});

describe('links to what exists', () => {
  const inside = pages()
    .flatMap(linksOf)
    .filter(({ target }) => !/^[a-z]+:/.test(target));

  it.each(rows(inside))('%s', (_place, { page, target }) => {
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? page : normalize(join(dirname(page), path));
    expect({ target, exists: existsSync(join(root, file)) }).toEqual({ target, exists: true });
    if (anchor !== undefined) expect([...anchorsOf(file)]).toContain(anchor);
  });
});
