const { TestEnvironment } = require('jest-environment-node');
const { host } = require('./host.cjs');

/**
 * Runs no test: it keeps those of the file, with all that the file has loaded, for the runner to run
 * as often as it likes.
 */
module.exports = class extends TestEnvironment {
  constructor(config, context) {
    super(config, context);
    this.global.__stryker__ = host.stryker; // where instrumented code asks which mutant is active
    this.file = context.testPath;
    this.left = config.projectConfig.testEnvironmentOptions.leaveOut;
  }

  handleTestEvent({ name }, { rootDescribeBlock }) {
    if (name !== 'run_start') return;
    host.specs.set(this.file, testsOf(rootDescribeBlock, '', [], this.left));
    skipAll(rootDescribeBlock);
  }

  async teardown() {
    // What has been kept is still in use.
  }
};

/** A test as a title and a function that runs it with its hooks. */
function testsOf(block, prefix, outerHooks, left) {
  if (block.mode === 'skip' || block.hooks.some(({ type }) => type === 'beforeAll')) return [];
  const hooks = [...outerHooks, block.hooks];
  return block.children.flatMap((child) => {
    const title = `${prefix} ${child.name}`.trimStart();
    if (child.type === 'describeBlock') return testsOf(child, title, hooks, left);
    const isLeft = child.mode === 'skip' || left.some((part) => title.includes(part));
    return isLeft ? [] : [{ title, run: () => runTest(child.fn, hooks) }];
  });
}

async function runTest(test, hooks) {
  const self = {};
  const of = (wanted) => (list) => list.filter(({ type }) => type === wanted);
  try {
    for (const { fn } of hooks.flatMap(of('beforeEach'))) await fn.call(self);
    await test.call(self);
  } finally {
    for (const { fn } of hooks.toReversed().flatMap(of('afterEach'))) await fn.call(self);
  }
}

function skipAll(block) {
  block.mode = 'skip';
  for (const child of block.children) {
    if (child.type === 'describeBlock') skipAll(child);
    else child.mode = 'skip';
  }
}
