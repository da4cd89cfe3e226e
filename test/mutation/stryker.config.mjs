const output = process.env.MUTATION_OUTPUT ?? '.mutation';

/** @type {import('@stryker-mutator/api/core').PartialStrykerOptions} */
export default {
  plugins: ['@stryker-mutator/jest-runner', './test/mutation/runner.mjs'],
  testRunner: 'spec-by-spec',
  testRunnerNodeArgs: ['--experimental-vm-modules', '--no-warnings'],
  jest: { configFile: 'test/mutation/jest.config.mjs', enableFindRelatedTests: false },
  mutate: ['lib/core/**/*.ts', '!lib/core/index.ts'],
  ignorePatterns: ['**', '!lib/**', '!test/**', '!*.json', '!*.mjs', 'test/nest11/**'],
  coverageAnalysis: 'perTest',
  ignoreStatic: true,
  incremental: true,
  incrementalFile: `${output}/incremental.json`,
  concurrency: 2,
  maxTestRunnerReuse: 100,
  timeoutMS: 40_000,
  timeoutFactor: 0.1,
  dryRunTimeoutMinutes: 20,
  reporters: ['json', 'missed', 'progress-append-only'],
  jsonReporter: { fileName: `${output}/report.json` },
  tempDirName: `${output}/sandbox`,
  allowEmpty: true,
  disableTypeChecks: true,
};
