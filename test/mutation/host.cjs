/**
 * What the runner and the environments of all spec files share. Kept on the process: Stryker loads the
 * runner from here, and Jest the environment from its copy in the sandbox.
 */
exports.host = globalThis[Symbol.for('nestjs-bulwark:mutation')] ??= {
  /** Stryker's own: the active mutant, hits, coverage. */
  stryker: { mutantCoverage: { static: {}, perTest: {} } },
  /** The tests of each loaded spec file. */
  specs: new Map(),
};
