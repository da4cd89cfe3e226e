import { setTimeout as pause } from 'node:timers/promises';
import { lastValueFrom } from 'rxjs';
import { fn, stream, work } from '../libraries/work.mjs';
import { median } from '../statistics.mjs';

const shared = new Error('shared');
const throwing = async () => {
  throw shared;
};
const BARE = {
  call: { expression: 'fn()', scope: { fn } },
  rejection: { expression: 'throwing()', scope: { throwing } },
  observable: { expression: 'lastValueFrom(stream())', scope: { lastValueFrom, stream } },
};
const BODY = {
  call: (expression) => `await ${expression}; ended++;`,
  rejection: (expression) => `try { await ${expression}; } catch { ended++; }`,
};
BODY.observable = BODY.call;

/**
 * A loop of its own for each expression: what one candidate teaches the compiler about a call site must
 * not slow another.
 */
function loopOf(kind, { expression, scope }) {
  const source = `
    return async (n) => {
      let ended = 0;
      for (let i = 0; i < n; i++) { ${BODY[kind](expression)} }
      return ended;
    }`;
  const loop = new Function(...Object.keys(scope), source)(...Object.values(scope));
  // A rejection by an open breaker must not have reached the work; all else must, every time.
  return async (n) => {
    const before = work.calls;
    const ended = await loop(n);
    const expected = kind === 'rejection' ? 0 : n;
    if (ended !== n || work.calls - before !== expected) {
      throw new Error(
        `${expression}: ${ended} of ${n} calls ended as they should, the work ran ${work.calls - before} times instead of ${expected}`,
      );
    }
  };
}

function loopsOf(kind, candidate) {
  const bare = candidate.bare ? { expression: candidate.bare, scope: candidate.scope } : BARE[kind];
  return { bare: loopOf(kind, bare), candidate: loopOf(kind, candidate) };
}

async function nanoseconds(loop, n) {
  const began = process.hrtime.bigint();
  await loop(n);
  return Number(process.hrtime.bigint() - began) / n;
}

/** Optimising a longer path takes its time on a busy machine: after 50 ms some were measured half done. */
const WARM_UP = 250;

/** How many calls fill `milliseconds`, found while the compiler warms up. */
async function warmUp(loop, milliseconds) {
  let n = 100;
  const until = performance.now() + WARM_UP;
  while (performance.now() < until) {
    const cost = await nanoseconds(loop, n);
    n = Math.max(20, Math.min(1_000_000, Math.round((milliseconds * 1e6) / cost)));
  }
  return n;
}

/** Candidate and bare take turns, each first in every other round: what disturbs one disturbs both. */
export async function measureTimes(kind, candidate, { rounds, milliseconds }) {
  const loops = loopsOf(kind, candidate);
  const counts = {};
  // Twice: the second time, both know what the other has done to the process.
  for (let pass = 0; pass < 2; pass++) {
    for (const name of ['bare', 'candidate'])
      counts[name] = await warmUp(loops[name], milliseconds);
  }
  const results = [];
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? ['bare', 'candidate'] : ['candidate', 'bare'];
    const result = {};
    for (const name of order) result[name] = await nanoseconds(loops[name], counts[name]);
    results.push(result);
  }
  return {
    ratio: median(results.map((each) => each.candidate / each.bare)),
    ns: median(results.map((each) => each.candidate)),
    bareNs: median(results.map((each) => each.bare)),
  };
}

const CALLS = 4_000;

/** The young generation must be large enough (see child.mjs): a collection would hide allocations. */
export async function measureBytes(kind, candidate) {
  const loops = loopsOf(kind, candidate);
  for (const loop of Object.values(loops)) await warmUp(loop, 30);
  await pause(50);
  const bytes = { bare: [], candidate: [] };
  for (let round = 0; round < 9; round++) {
    for (const [name, loop] of Object.entries(loops)) {
      gc();
      const before = process.memoryUsage().heapUsed;
      await loop(CALLS);
      bytes[name].push((process.memoryUsage().heapUsed - before) / CALLS);
    }
  }
  return { bytes: median(bytes.candidate), bareBytes: median(bytes.bare) };
}
