/**
 * Stryker's Jest runner runs every spec file for every mutant, and to its end. This one runs only
 * the files that hold a test which reaches the mutant, those first that have caught most mutants
 * of the same source, and stops at the first that fails.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, relative } from 'node:path';
import { PluginKind } from '@stryker-mutator/api/plugin';
import { strykerPlugins as jestPlugins } from '@stryker-mutator/jest-runner';

const [jest] = jestPlugins;
const titles = 'titles.json'; // beside the sandbox's copy of the sources
/** A mutant that so many spec files have not caught counts as survived. */
const mostSpecs = Number(process.env.MUTATION_SPECS ?? 5);

function specBySpec(injector) {
  const runner = jest.factory(injector);
  const { jestTestAdapter: adapter } = runner;
  const mutantRun = runner.mutantRun.bind(runner);
  const dryRunOf = runner.dryRun.bind(runner);
  const caught = new Map();
  let source = '';
  let tests;

  // What loading the specs takes is shared out among their tests: else each mutant's limit has it all.
  runner.dryRun = async (options) => {
    const began = performance.now();
    const result = await dryRunOf(options);
    const all = result.tests?.reduce((sum, test) => sum + test.timeSpentMs, 0);
    const factor = (performance.now() - began) / all;
    for (const test of result.tests ?? []) test.timeSpentMs *= factor;
    return result;
  };

  runner.mutantRun = (options) => {
    source = options.sandboxFileName;
    tests = options.testFilter && new Set(options.testFilter);
    return mutantRun(options);
  };

  runner.jestTestAdapter = {
    async run(settings) {
      if (settings.jestConfig && settings.testLocationInResults) return dryRun(settings);
      const results = [];
      for (const [file, names] of specsInOrder()) {
        const { results: one } = await adapter.run({
          ...settings,
          testFiles: [file],
          testNamePattern: names && names.map((name) => `^${escaped(name)}$`).join('|'),
        });
        results.push(one);
        if (one.numFailedTests + one.numRuntimeErrorTestSuites === 0) continue;
        const key = `${source} ${file}`;
        caught.set(key, (caught.get(key) ?? 0) + 1);
        break;
      }
      return { results: merged(results) };
    },
  };
  return runner;

  async function dryRun(settings) {
    const run = await adapter.run(settings);
    const files = {};
    for (const { testFilePath, testResults } of run.results.testResults) {
      files[testFilePath] = testResults.map(({ fullName }) => fullName);
    }
    writeFileSync(titles, JSON.stringify(files));
    return run;
  }

  function specsInOrder() {
    const specs = Object.entries(JSON.parse(readFileSync(titles, 'utf8')))
      .map(([file, names]) => [file, tests ? names.filter((name) => tests.has(name)) : undefined])
      .filter(([, names]) => names === undefined || names.length > 0);
    const rank = ([file, names]) =>
      (caught.get(`${source} ${file}`) ?? 0) +
      (sharesName(file, source) ? 0.5 : 0) +
      (names?.length ?? 0) / 10_000;
    return specs.sort((a, b) => rank(b) - rank(a)).slice(0, mostSpecs);
  }
}
specBySpec.inject = jest.factory.inject;

const sharesName = (spec, source) =>
  basename(spec).startsWith(basename(source, '.ts')) ||
  basename(spec).startsWith(source.split('/').at(-2));

const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

const merged = (results) => ({
  numRuntimeErrorTestSuites: results.reduce((sum, one) => sum + one.numRuntimeErrorTestSuites, 0),
  testResults: results.flatMap((one) => one.testResults),
});

/** Says of each mutant that is not found where it is, at once: a run may be ended before its end. */
class Missed {
  onMutantTested({ status, fileName, location: { start, end }, replacement }) {
    if (status !== 'Survived' && status !== 'NoCoverage') return;
    const line = readFileSync(fileName, 'utf8').split('\n')[start.line - 1];
    const was = line.slice(start.column - 1, start.line === end.line ? end.column - 1 : undefined);
    const is = replacement.replace(/\s+/g, ' ').slice(0, 80);
    const note = status === 'NoCoverage' ? ', where no spec gets' : '';
    const place = `${relative('.', fileName)}:${start.line}:${start.column}`;
    console.log(`NOT FOUND  ${place}  ${was}  ->  ${is}${note}`);
  }
}

export const strykerPlugins = [
  { kind: PluginKind.TestRunner, name: 'spec-by-spec', factory: specBySpec },
  { kind: PluginKind.Reporter, name: 'missed', injectableClass: Missed },
];
