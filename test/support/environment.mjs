/**
 * The environment of every spec. It runs outside the sandbox, whose `process` hears no such event: during
 * a suite Jest itself fails the test that leaves something unhandled, after it nobody would.
 */
import { TestEnvironment } from 'jest-environment-node';
import { recordStrays } from './strays.mjs';

recordStrays(); // once a process: the module is loaded once

export default TestEnvironment;
