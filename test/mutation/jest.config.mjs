import { fileURLToPath } from 'node:url';
import config from '../../jest.config.mjs';

const here = fileURLToPath(new URL('.', import.meta.url));

/** The specs that test lib/core, less what takes too long to be done again for each mutant. */
export default {
  ...config,
  rootDir: fileURLToPath(new URL('../..', import.meta.url)),
  testRegex: ['/test/(core|contract|issues)/.*\\.spec\\.ts$', '/test/nest/events\\.spec\\.ts$'],
  testPathIgnorePatterns: ['/node_modules/', '/test/core/types\\.spec\\.ts$'],
  testEnvironment: `${here}environment.cjs`,
  testEnvironmentOptions: {
    /** Titles, with those of their groups: simulations, and what only shows with very many calls. */
    skip: [
      'adaptive limit settles',
      'adaptive limit follows',
      'adaptive limit goes down to its least',
      'lowers the limit for a moment, measures',
      'keeps its limit within its bounds',
      'one million distinct keys',
      'ten thousand',
      '10,000 calls',
      'forgets what was long ago',
      'is bounded, however many names',
      'keeps its memory, however many',
      'come ever earlier because slow tries',
      'calls a second to a dependency',
      'still asks a dependency that takes nothing',
    ],
  },
  moduleNameMapper: {
    '^fast-check$': `${here}fewer-runs.ts`,
    ...config.moduleNameMapper,
  },
};
