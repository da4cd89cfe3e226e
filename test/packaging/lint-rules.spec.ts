import { fileURLToPath } from 'node:url';
import { ESLint, type Linter } from 'eslint';
import tseslint from 'typescript-eslint';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The architecture rules, without type information: the linted files need not exist. */
const eslint = new ESLint({
  cwd: root,
  overrideConfig: tseslint.configs.disableTypeChecked as Linter.Config,
  ruleFilter: ({ ruleId }) => ruleId.startsWith('no-restricted-'),
});

async function rulesBrokenBy(code: string, filePath: string): Promise<(string | null)[]> {
  const [result] = await eslint.lintText(code, { filePath });
  return result?.messages.map((message) => message.ruleId ?? message.message) ?? [];
}

describe('imports point one way', () => {
  it.each([
    ['lib/core/probe.ts', '@nestjs/common'],
    ['lib/core/probe.ts', 'rxjs'],
    ['lib/core/probe.ts', 'reflect-metadata'],
    ['lib/core/probe.ts', 'timers/promises'],
    ['lib/core/probe.ts', 'node:timers'],
    ['lib/core/probe.ts', '../index.js'],
    ['lib/core/probe.ts', '../nest/tokens.js'],
    ['lib/core/retry/probe.ts', '../../rxjs/adapter.js'],
    ['lib/rxjs/probe.ts', '../nest/tokens.js'],
    ['lib/rxjs/probe.ts', '@nestjs/common'],
    ['lib/nest/probe.ts', '../decorators/retry.js'],
    ['lib/nest/probe.ts', '../testing/index.js'],
    ['lib/nest/probe.ts', '@nestjs/terminus'],
    ['lib/decorators/probe.ts', '../redis/store.js'],
    ['lib/decorators/probe.ts', 'nestjs-bulwark/core'],
    ['lib/testing/probe.ts', '../redis/store.js'],
    ['lib/index.ts', './testing/index.js'],
  ])('%s may not import %s', async (file, specifier) => {
    const code = `import { value } from '${specifier}';\nexport { value };\n`;
    expect(await rulesBrokenBy(code, file)).toContain('no-restricted-imports');
  });

  it.each([
    ['lib/core/probe.ts', './errors.js'],
    ['lib/core/retry/probe.ts', '../errors.js'],
    ['lib/core/probe.ts', 'lru-cache'],
    ['lib/core/probe.ts', 'node:async_hooks'],
    ['lib/rxjs/probe.ts', '../core/policy.js'],
    ['lib/rxjs/probe.ts', 'rxjs'],
    ['lib/nest/probe.ts', '@nestjs/core'],
    ['lib/nest/probe.ts', '../rxjs/adapter.js'],
    ['lib/decorators/probe.ts', '../nest/tokens.js'],
    ['lib/testing/probe.ts', '../decorators/retry.js'],
    ['lib/redis/probe.ts', 'ioredis'],
    ['lib/index.ts', './core/index.js'],
  ])('%s may import %s', async (file, specifier) => {
    const code = `import { value } from '${specifier}';\nexport { value };\n`;
    expect(await rulesBrokenBy(code, file)).toEqual([]);
  });

  it.each([
    `export { value } from 'rxjs';`,
    `export * from 'rxjs';`,
    `import type { Observable } from 'rxjs';\nexport type Source = Observable<unknown>;`,
  ])('sees %s too', async (code) => {
    expect(await rulesBrokenBy(code, 'lib/core/probe.ts')).toContain('no-restricted-imports');
  });
});

describe('time and chance come from the runtime', () => {
  it.each([
    ['Date.now()', 'no-restricted-globals'],
    ['new Date()', 'no-restricted-globals'],
    ['performance.now()', 'no-restricted-globals'],
    ['setTimeout(() => undefined, 1)', 'no-restricted-globals'],
    ['setInterval(() => undefined, 1)', 'no-restricted-globals'],
    ['setImmediate(() => undefined)', 'no-restricted-globals'],
    ['globalThis.setTimeout(() => undefined, 1)', 'no-restricted-globals'],
    ['Math.random()', 'no-restricted-properties'],
    ['process.hrtime.bigint()', 'no-restricted-properties'],
    ['AbortSignal.timeout(1)', 'no-restricted-properties'],
  ])('%s is flagged everywhere but in core/runtime.ts', async (expression, rule) => {
    const code = `export const value = ${expression};\n`;
    expect(await rulesBrokenBy(code, 'lib/core/retry/probe.ts')).toEqual([rule]);
    expect(await rulesBrokenBy(code, 'lib/nest/probe.ts')).toEqual([rule]);
    expect(await rulesBrokenBy(code, 'lib/core/runtime.ts')).toEqual([]);
  });

  it('leaves queueMicrotask alone', async () => {
    const code = 'queueMicrotask(() => undefined);\n';
    expect(await rulesBrokenBy(code, 'lib/core/probe.ts')).toEqual([]);
  });
});
