import { fn } from './work.mjs';

const seen = { passed: 0 };
const succeed = (value) => {
  seen.passed++;
  return value;
};
const refuse = (error) => {
  seen.passed = 0;
  throw error;
};
const call = (work) => work().then(succeed, refuse);

/** The least that a breaker has to do, in one promise hop. */
export const cases = { breaker: () => ({ expression: 'call(fn)', scope: { call, fn } }) };
