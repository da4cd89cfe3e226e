import { fileURLToPath } from 'node:url';
import config from '../../jest.config.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));

/** The specs that test lib/core, less what takes too long to be done again for each mutant. */
export default {
  ...config,
  rootDir: fileURLToPath(new URL('../..', import.meta.url)),
  testRegex: '/test/(core|contract|issues|rxjs)/.*\\.spec\\.ts$',
  testPathIgnorePatterns: [
    '/node_modules/',
    '/test/core/types\\.spec\\.ts$',
    // Start whole applications, whose adapters Jest would have to load after it has ended.
    '/test/issues/(decorators-without-effect|impatient-caller)',
  ],
  testEnvironment: `${here}environment.cjs`,
  testEnvironmentOptions: {
    /** Specs whose tests use up what they test: loaded anew for each run of one. */
    loadAnew: ['first-question.spec.ts'],
    /** Titles of tests: simulations, and what only shows with very many calls. */
    leaveOut: [
      'adaptive limit settles',
      'adaptive limit follows',
      'adaptive limit goes down to its least',
      'adaptive limit grows only while it is in use',
      'adaptive limit takes HTTP 503',
      'adaptive limit takes HTTP 429',
      'adaptive limit takes a refused connection',
      'adaptive limit takes an error behind',
      'adaptive limit takes any error',
      'adaptive limit takes a rejection of another policy',
      'ends although calls hang that it waits for',
      'lowers the limit for a moment, measures',
      'keeps its limit within its bounds',
      'one million distinct keys',
      'an error with 20,000 causes',
      'ten thousand',
      '10,000 calls',
      'forgets what was long ago',
      'is bounded, however many names',
      'keeps its memory, however many',
      'come ever earlier because slow tries',
      'is one for all calls, and gone when time has passed',
      'calls a second to a dependency',
      'still asks a dependency that takes nothing',
    ],
  },
  moduleNameMapper: {
    '^fast-check$': `${here}fewer-runs.ts`,
    ...config.moduleNameMapper,
  },
};
