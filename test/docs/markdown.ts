import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '../..');

/** A fenced block of a page, with what the HTML comment right above it says: `<!-- file: a.ts, run -->`. */
export interface CodeBlock {
  /** Relative to the repository. */
  readonly page: string;
  /** 1-based line of the first line of code. */
  readonly line: number;
  readonly language: string;
  readonly code: string;
  readonly directives: ReadonlyMap<string, string>;
}

export interface Link {
  readonly page: string;
  readonly line: number;
  readonly target: string;
}

/** README.md and every page below docs/. */
export function pages(): string[] {
  const below = readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' });
  const docs = below.filter((name) => name.endsWith('.md')).map((name) => join('docs', name));
  return ['README.md', ...docs.sort()];
}

export function textOf(page: string): string {
  return readFileSync(join(root, page), 'utf8');
}

export function blocksOf(page: string, text = textOf(page)): CodeBlock[] {
  const lines = text.split('\n');
  const blocks: CodeBlock[] = [];
  for (let at = 0; at < lines.length; at++) {
    const fence = /^( *)(`{3,})(\w*)/.exec(lines[at] ?? '');
    if (fence === null) continue;
    const [, indent = '', ticks = '', language = ''] = fence;
    const begin = at + 1;
    const isEnd = (line: string): boolean => line.trim() === ticks;
    at = lines.findIndex((line, index) => index >= begin && isEnd(line));
    if (at === -1) throw new Error(`${page}:${String(begin)}: the block has no end`);
    const code = lines.slice(begin, at).map((line) => line.slice(indent.length));
    const directives = directivesAbove(lines.slice(0, begin - 1));
    blocks.push({ page, line: begin + 1, language, code: code.join('\n'), directives });
  }
  return blocks;
}

function directivesAbove(lines: readonly string[]): Map<string, string> {
  const above = lines.findLast((line) => line.trim() !== '') ?? '';
  const comment = /^\s*<!--(.*)-->\s*$/.exec(above)?.[1] ?? '';
  const directives = comment.split(',').map((each) => each.split(':').map((part) => part.trim()));
  return new Map(directives.map(([name = '', value = '']) => [name, value]));
}

/** Links in prose; code is left out. */
export function linksOf(page: string): Link[] {
  return proseLines(textOf(page)).flatMap((prose, index) =>
    [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target = '']) => {
      return { page, line: index + 1, target };
    }),
  );
}

/** The anchors that GitHub gives to a page's headings. */
export function anchorsOf(page: string): Set<string> {
  const headings = proseLines(textOf(page)).flatMap((line) => /^#+ (.*)$/.exec(line)?.[1] ?? []);
  return new Set(headings.map(slug));
}

function slug(heading: string): string {
  const kept = heading.toLowerCase().replace(/[^\p{L}\p{N}\s_-]/gu, '');
  return kept.trim().replaceAll(' ', '-');
}

function proseLines(text: string): string[] {
  let inCode = false;
  return text.split('\n').map((line) => {
    if (/^ *```/.test(line)) inCode = !inCode;
    return inCode ? '' : line.replace(/`[^`]*`/g, (code) => (line.startsWith('#') ? code : ''));
  });
}

/** The rows of the first table below a heading, the cells as they are written. */
export function tableBelow(page: string, heading: string): string[][] {
  const lines = textOf(page).split('\n');
  const start = lines.findIndex((line) => /^#+ /.test(line) && line.endsWith(` ${heading}`));
  if (start === -1) throw new Error(`${page} has no heading "${heading}"`);
  const rest = lines.slice(start + 1);
  const end = rest.findIndex((line) => /^#+ /.test(line));
  const section = end === -1 ? rest : rest.slice(0, end);
  const rows = section.filter((line) => line.startsWith('|')).map(cellsOf);
  if (rows.length < 3) throw new Error(`${page}: no table below "${heading}"`);
  return rows.slice(2); // without the head and its rule
}

function cellsOf(row: string): string[] {
  const cells = row.split(/(?<!\\)\|/).slice(1, -1);
  return cells.map((cell) => cell.trim().replaceAll('\\|', '|'));
}
