/**
 * Writes the public API of each entry to api/, or with `--check` fails where that differs from what is
 * committed, and where an export has no doc comment.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, relative } from 'node:path';
import { ensureBuilt, ensureInstalled, root } from './steps.mjs';

const check = process.argv.includes('--check');
const home = join(root, 'api');
await ensureInstalled();
await ensureInstalled(home);
await ensureBuilt();

const require = createRequire(join(home, 'package.json'));
const { Extractor, ExtractorConfig, ExtractorLogLevel } = require('@microsoft/api-extractor');
const ts = require('typescript');

const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
const entries = Object.entries(manifest.exports)
  .filter(([subpath]) => !subpath.endsWith('.json'))
  .map(([subpath, { import: conditions }]) => ({
    types: join(root, conditions.types),
    report: `${(manifest.name + subpath.slice(1)).replace('/', '-')}.api.md`,
  }));
const drafts = join(root, 'node_modules/.cache/nestjs-bulwark/api');
const problems = [];

for (const entry of entries) {
  const { differs, troubles } = extract(entry);
  const path = relative(root, join(home, entry.report));
  if (differs && check) {
    problems.push(`${path} is not what the code exports any more`);
    showDifference(entry.report);
  }
  problems.push(...troubles);
  console.log(`  ${differs ? (check ? 'DIFFERS' : 'written') : 'same   '}  ${path}`);
}
rmSync(drafts, { recursive: true, force: true });

for (const name of new Set(entries.flatMap(exportsWithoutDocs))) {
  problems.push(`${name} is exported without a doc comment`);
}

for (const problem of problems) console.log(`  FAILED   ${problem}`);
if (check && problems.length > 0) {
  console.log(
    'If the public API is meant to change: run `npm run api`, commit api/ with the change.',
  );
} else if (problems.length === 0) {
  console.log('The API is as committed, and every export has a doc comment');
}
process.exitCode = problems.length > 0 ? 1 : 0;

/** Has API Extractor write a report; in a check it only compares. */
function extract({ types, report }) {
  mkdirSync(drafts, { recursive: true });
  const troubles = [];
  const off = { logLevel: 'none' };
  const on = { logLevel: 'warning' };
  const config = ExtractorConfig.prepare({
    packageJsonFullPath: join(root, 'package.json'),
    configObject: {
      projectFolder: root,
      mainEntryPointFilePath: types,
      newlineKind: 'lf',
      compiler: { tsconfigFilePath: join(root, 'tsconfig.build.json') },
      apiReport: {
        enabled: true,
        reportFileName: report,
        reportFolder: `${home}/`,
        reportTempFolder: `${drafts}/`,
      },
      docModel: { enabled: false },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: {
        compilerMessageReporting: { default: on },
        extractorMessageReporting: {
          default: on,
          // A type that the API mentions and nobody can name stands out in the report.
          'ae-forgotten-export': { ...on, addToApiReportFile: true },
          'ae-missing-release-tag': off,
          // Exports are checked below; members say for themselves in the report.
          'ae-undocumented': off,
          'ae-unresolved-link': off,
        },
        tsdocMessageReporting: { default: off },
      },
    },
  });
  const { apiReportChanged } = Extractor.invoke(config, {
    localBuild: !check,
    messageCallback(message) {
      message.handled = true;
      const isReal = !message.messageId.startsWith('console-') && message.logLevel !== 'none';
      if (isReal && message.logLevel !== ExtractorLogLevel.Verbose) troubles.push(message.text);
    },
  });
  return { differs: apiReportChanged, troubles };
}

function showDifference(report) {
  const [committed, made] = [join(home, report), join(drafts, report)];
  const args = ['diff', '--no-index', '--no-color', committed, made];
  const { stdout } = spawnSync('git', args, { encoding: 'utf8' });
  console.log(stdout);
}

/** The names of exports that say nothing of themselves. */
function exportsWithoutDocs({ types }) {
  const program = ts.createProgram([types], {
    module: ts.ModuleKind.NodeNext,
    moduleResolution: ts.ModuleResolutionKind.NodeNext,
    skipLibCheck: true,
    types: [],
  });
  const checker = program.getTypeChecker();
  const entry = checker.getSymbolAtLocation(program.getSourceFile(types));
  return checker
    .getExportsOfModule(entry)
    .map((symbol) =>
      symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol,
    )
    .filter((symbol) => symbol.getDocumentationComment(checker).length === 0)
    .map((symbol) => symbol.name);
}
