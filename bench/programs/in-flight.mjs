import { median } from '../statistics.mjs';

const TOO_SLOW = 1_500;
/** Ten batches of 10,000: over two of them it is chance whether a collection falls into one. */
const CALLS = 100_000;
const LONG_ENOUGH = 6_000;

let waiting = [];
const slow = () => new Promise((resolve) => waiting.push(resolve));

function release() {
  const resolves = waiting;
  waiting = [];
  for (const resolve of resolves) resolve(1);
}

/** Starts `size` calls, lets them all finish, and says how many nanoseconds each took. */
async function batches(call, size, times) {
  const began = performance.now();
  for (let batch = 0; batch < times; batch++) {
    const calls = new Array(size);
    for (let at = 0; at < size; at++) calls[at] = call();
    // Some peers start the work a few microtasks later.
    for (let turn = 0; turn < 50 && waiting.length < size; turn++) await Promise.resolve();
    if (waiting.length !== size)
      throw new Error(`${waiting.length} of ${size} calls are in flight`);
    release();
    for (const value of await Promise.all(calls)) if (value !== 1) throw new Error('a call failed');
  }
  return ((performance.now() - began) * 1e6) / (size * times);
}

/** The cost of a call by how many are in flight at once, for the candidate and for the bare function. */
export async function measureInFlight(makePipeline, { sizes, rounds }) {
  const calls = { candidate: makePipeline(slow), bare: slow };
  const costs = { candidate: sizes.map(() => []), bare: sizes.map(() => []) };
  const names = Object.keys(calls);
  for (const name of [...names, ...names]) await batches(calls[name], 50, 200);
  // Slow calls get fewer batches, not fewer calls at once.
  const cost = await batches(calls.candidate, 50, 20);
  const total = Math.min(CALLS, Math.round(2e8 / cost));
  const timesFor = (size) => Math.max(1, Math.round(total / size));
  const limits = { candidate: sizes.length, bare: sizes.length };
  const until = performance.now() + LONG_ENOUGH;
  for (let round = 0; round < rounds && performance.now() < until; round++) {
    for (const name of names) {
      for (let at = 0; at < limits[name]; at++) {
        const began = performance.now();
        costs[name][at].push(await batches(calls[name], sizes[at], timesFor(sizes[at])));
        // Growth that is quadratic shows long before it ends.
        if (performance.now() - began > TOO_SLOW) limits[name] = at + 1;
      }
    }
  }
  const medians = (lists) => lists.filter((list) => list.length > 0).map(median);
  const growth = (lists) =>
    lists
      .filter((list) => list.length > 0)
      .map((list) => median(list.map((cost, round) => cost / lists[0][round])));
  return {
    ns: medians(costs.candidate),
    bareNs: medians(costs.bare),
    growth: growth(costs.candidate),
    bareGrowth: growth(costs.bare),
  };
}
