const { TestEnvironment } = require('jest-environment-node');

/** Skips the tests that the configuration names, and those of a file that has failed already. */
module.exports = class extends TestEnvironment {
  constructor(config, context) {
    super(config, context);
    const { skip } = config.projectConfig.testEnvironmentOptions;
    this.skipped = skip.map((title) => title.toLowerCase());
    this.failed = false;
  }

  handleTestEvent({ name, test }) {
    if (name === 'test_done' && test.errors.length > 0) this.failed = true;
    if (name === 'test_start' && (this.failed || this.isSkipped(test))) test.mode = 'skip';
  }

  isSkipped(test) {
    const title = titleOf(test).toLowerCase();
    return this.skipped.some((part) => title.includes(part));
  }
};

function titleOf({ parent, name }) {
  return parent ? `${titleOf(parent)} ${name}` : '';
}
