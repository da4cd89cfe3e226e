import { fn } from './work.mjs';

const seen = { passed: 0 };
const call = async (work) => {
  try {
    const value = await work();
    seen.passed++;
    return value;
  } catch (error) {
    seen.passed = 0;
    throw error;
  }
};

/** The same as most people would write it. */
export const cases = { breaker: () => ({ expression: 'call(fn)', scope: { call, fn } }) };
