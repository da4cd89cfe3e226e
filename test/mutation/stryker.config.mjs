const output = process.env.MUTATION_OUTPUT ?? '.mutation';

/** @type {import('@stryker-mutator/api/core').PartialStrykerOptions} */
export default {
  plugins: ['./test/mutation/runner.mjs'],
  testRunner: 'specs',
  testRunnerNodeArgs: ['--experimental-vm-modules', '--no-warnings'],
  mutate: ['lib/core/**/*.ts', '!lib/core/index.ts'],
  ignorePatterns: ['**', '!lib/**', '!test/**', '!*.json', '!*.mjs', 'test/nest11/**'],
  coverageAnalysis: 'perTest',
  ignoreStatic: true,
  concurrency: 2,
  timeoutMS: 15_000,
  timeoutFactor: 3,
  dryRunTimeoutMinutes: 20,
  reporters: ['json', 'missed', 'progress-append-only'],
  jsonReporter: { fileName: `${output}/report.json` },
  tempDirName: `${output}/sandbox`,
  allowEmpty: true,
  disableTypeChecks: true,
};
