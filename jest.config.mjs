const nest11 = process.env.NEST_MAJOR === '11';

/** @type {import('jest').Config} */
export default {
  displayName: nest11 ? 'nest 11' : 'nest 12',
  roots: ['<rootDir>/lib', '<rootDir>/test'],
  testRegex: '\\.(e2e-)?spec\\.ts$',
  testEnvironment: '<rootDir>/test/support/environment.mjs',
  // A test whose promises reject or whose callbacks throw unhandled has failed; see docs/testing.md.
  waitForUnhandledRejections: true,
  testTimeout: 30_000, // no test sleeps: this is for a busy machine that loads Nest for the first one
  reporters: ['default', '<rootDir>/test/support/strays.mjs'],
  maxWorkers: '100%', // the default leaves one core of two idle
  // A process that has run many suites keeps an AsyncLocalStorage of each, and on Node 20 every promise
  // pays for all of them: the last suites took ten times as long. Past this a new process goes on.
  workerIdleMemoryLimit: '150MB',
  extensionsToTreatAsEsm: ['.ts'],
  moduleNameMapper: {
    '^(\\.{1,2}/.*)\\.js$': '$1',
    // Tests import the library by its published names and get the sources.
    '^nestjs-bulwark$': '<rootDir>/lib/index.ts',
    '^nestjs-bulwark/([\\w-]+)$': '<rootDir>/lib/$1/index.ts',
    ...(nest11 && { '^@nestjs/(.*)$': '<rootDir>/test/nest11/node_modules/@nestjs/$1' }),
  },
  transform: {
    '^.+\\.ts$': [
      '@swc/jest',
      {
        swcrc: false,
        jsc: {
          parser: { syntax: 'typescript', decorators: true },
          transform: {
            legacyDecorator: true,
            decoratorMetadata: true,
            useDefineForClassFields: false,
          },
          target: 'es2023',
          keepClassNames: true,
        },
        module: { type: 'es6' },
        sourceMaps: 'inline',
      },
    ],
  },
  coverageProvider: 'babel',
  collectCoverageFrom: ['lib/**/*.ts'],
};
