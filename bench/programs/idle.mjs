import { createHook } from 'node:async_hooks';
import { setTimeout as pause } from 'node:timers/promises';

const BREAKERS = 100_000;
const WATCHED = 100;

function heapAfterCollection() {
  gc();
  gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** What a breaker costs that nobody calls, and one that was called once and has settled; and its timers. */
export async function measureIdle(make, call) {
  const kept = new Array(BREAKERS).fill(undefined);
  make();
  const before = heapAfterCollection();
  for (let at = 0; at < BREAKERS; at++) kept[at] = make();
  const bytes = (heapAfterCollection() - before) / BREAKERS;
  for (const breaker of kept) await call(breaker);
  await pause(50);
  const usedBytes = (heapAfterCollection() - before) / BREAKERS;
  return { bytes, usedBytes, timers: timersOf(make), kept: kept.length };
}

/** Also timers that let the process end: the process's own list leaves those out. */
function timersOf(make) {
  const alive = new Set();
  const hook = createHook({
    init: (id, type) => void (type === 'Timeout' && alive.add(id)),
    destroy: (id) => void alive.delete(id),
  }).enable();
  const kept = Array.from({ length: WATCHED }, make);
  hook.disable();
  return alive.size / kept.length;
}
