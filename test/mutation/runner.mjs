/**
 * A test runner for Stryker. Its own one for Jest starts Jest anew for every mutant and loads every
 * spec file, which takes most of the time. This one has Jest load a spec file once and keeps its
 * tests; for a mutant it runs those that reach it until one fails, with the mutant switched on.
 *
 * What one mutant leaves behind could fail a test of the next, so a failure counts only where the same
 * test passes again without the mutant; else the file is loaded anew and the test has another try.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, relative } from 'node:path';
import { PluginKind, commonTokens } from '@stryker-mutator/api/plugin';
import {
  DryRunStatus,
  MutantRunStatus,
  TestStatus,
  determineHitLimitReached,
} from '@stryker-mutator/api/test-runner';

const require = createRequire(import.meta.url);
const jest = require('jest');
const { readInitialOptions } = require('jest-config');
const { host } = require('./host.cjs');

/** Tests, in the sandbox: the process that has made the first run tells the others. */
const inventory = 'tests.json';
/** Milliseconds beyond twenty times what a test took at first; the second try decides. */
const patience = [1000, 3000];
const hung = new Error('The test does not end');
const now = () => performance.now();

class SpecRunner {
  static inject = [commonTokens.logger];
  #tests;
  /** Which tests have found mutants of a source. */
  #finders = new Map();

  constructor(log) {
    this.log = log;
  }

  async init() {
    const { config } = await readInitialOptions('test/mutation/jest.config.mjs');
    this.config = JSON.stringify({ ...config, reporters: [] });
    this.loadedAnew = config.testEnvironmentOptions.loadAnew;
  }

  capabilities() {
    return { reloadEnvironment: true };
  }

  /** Loads all spec files, and runs each test once to see which mutants it reaches. */
  async dryRun() {
    const began = now();
    await this.#load();
    const tests = [];
    for (const [file, list] of host.specs) {
      for (const [at, { title }] of list.entries()) {
        const id = `${relative('.', file)} #${at} ${title}`;
        host.stryker.currentTestId = id;
        const start = now();
        const failure = await attempt(list[at], 60_000);
        host.stryker.currentTestId = undefined;
        tests.push({ id, file, at, title, took: now() - start, failure: failure?.message });
      }
    }
    writeFileSync(inventory, JSON.stringify(tests));
    for (const { id, failure } of tests) {
      if (failure !== undefined) this.log.warn(`Left out, fails outside Jest: ${id}: ${failure}`);
    }
    // What loading took is shared out: Stryker would add the whole of it to each mutant's time limit.
    const stretch = (now() - began) / tests.reduce((sum, { took }) => sum + took, 0);
    return {
      status: DryRunStatus.Complete,
      mutantCoverage: host.stryker.mutantCoverage,
      tests: tests.map(({ id, file, title, took, failure }) => ({
        id,
        name: title,
        fileName: file,
        timeSpentMs: took * stretch,
        status: failure === undefined ? TestStatus.Success : TestStatus.Skipped,
      })),
    };
  }

  async mutantRun({ activeMutant, testFilter, sandboxFileName, hitLimit }) {
    Object.assign(host.stryker, { hitCount: 0, hitLimit });
    const tests = this.#inOrder(testFilter, sandboxFileName);
    for (const [index, test] of tests.entries()) {
      const failure = await this.#findsIn(test, activeMutant.id);
      const timeout = determineHitLimitReached(host.stryker.hitCount, hitLimit);
      if (failure === undefined && timeout === undefined) continue;
      const finders = this.#finders.get(sandboxFileName) ?? new Map();
      this.#finders.set(sandboxFileName, finders.set(test.id, (finders.get(test.id) ?? 0) + 1));
      if (timeout !== undefined) return timeout;
      if (failure === hung) return { status: MutantRunStatus.Timeout, reason: test.title };
      return {
        status: MutantRunStatus.Killed,
        killedBy: [test.id],
        failureMessage: String(failure?.message ?? failure),
        nrOfTests: index + 1,
      };
    }
    return { status: MutantRunStatus.Survived, nrOfTests: tests.length };
  }

  /** What the test fails with because of the mutant, or undefined. */
  async #findsIn(test, mutant) {
    const failure = await this.#run(test, mutant);
    if (failure === undefined) return undefined;
    if ((await this.#run(test, undefined)) === undefined) return failure;
    await this.#load(test.file);
    const again = await this.#run(test, mutant);
    if (again !== undefined) await this.#load(test.file);
    return again;
  }

  async #run({ file, at, took }, mutant) {
    let failure;
    for (const extra of patience) {
      if (!host.specs.has(file) || this.loadedAnew.includes(basename(file))) await this.#load(file);
      host.stryker.activeMutant = mutant;
      failure = await attempt(host.specs.get(file)[at], 20 * took + extra);
      host.stryker.activeMutant = undefined;
      if (failure !== hung) return failure;
    }
    return failure;
  }

  /** Those first that have found most mutants of the same source, then the quickest. */
  #inOrder(ids, source) {
    this.#tests ??= new Map(
      JSON.parse(readFileSync(inventory, 'utf8')).map((test) => [test.id, test]),
    );
    const finders = this.#finders.get(source);
    const found = ({ id }) => finders?.get(id) ?? 0;
    return ids
      .map((id) => this.#tests.get(id))
      .sort((a, b) => found(b) - found(a) || a.took - b.took);
  }

  async #load(file) {
    const only = file === undefined ? [] : [file];
    const options = { $0: 'stryker', _: only, config: this.config, runInBand: true, silent: true };
    const { results } = await jest.runCLI(options, [process.cwd()]);
    for (const { testExecError, testFilePath } of results.testResults) {
      if (testExecError) throw new Error(`${testFilePath}: ${testExecError.message}`);
    }
  }
}

// What a test that hung throws later must not end the worker: a listener to an AbortSignal, say.
process.on('uncaughtException', () => undefined);

/** What a test fails with, what nobody handles included; undefined where it passes. */
async function attempt({ run }, limit) {
  let failure;
  const unhandled = (reason) => (failure ??= reason ?? new Error('Unhandled'));
  process.on('unhandledRejection', unhandled);
  process.on('uncaughtException', unhandled);
  let timer;
  const late = new Promise((resolve) => {
    timer = setTimeout(() => resolve(hung), limit);
  });
  const ended = run().catch((thrown) => thrown ?? new Error('Thrown: nothing'));
  const outcome = await Promise.race([ended, late]);
  clearTimeout(timer);
  await new Promise(setImmediate); // both are told after the microtasks
  process.off('unhandledRejection', unhandled);
  process.off('uncaughtException', unhandled);
  return outcome ?? failure;
}

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
  { kind: PluginKind.TestRunner, name: 'specs', injectableClass: SpecRunner },
  { kind: PluginKind.Reporter, name: 'missed', injectableClass: Missed },
];
