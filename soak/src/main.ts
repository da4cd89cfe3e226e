import 'reflect-metadata';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import type { INestApplication } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
import { Chance } from './chance.js';
import { Dependency } from './dependency.js';
import { Invariants } from './invariants.js';
import { Load } from './load.js';

/** The first is the warm-up: code is compiled, pools and tables are filled. */
const ROUNDS = 5;
/** What the heap may grow after the warm-up; a leak of 100 bytes a call would be several times as much. */
const HEAP_ALLOWANCE = 3 * 2 ** 20;
/** Seconds in which every outcome of every policy occurs, on a busy machine too. */
const LONG = 60;

interface Rest {
  readonly heap: number;
  readonly resources: Readonly<Record<string, number>>;
}

const { seconds, seed, clients } = readArguments();
console.log(`Soak of ${seconds} s with ${clients} clients, seed ${seed}`);

const stray: string[] = [];
process.on('unhandledRejection', (reason) => stray.push(`unhandled rejection: ${show(reason)}`));
process.on('uncaughtException', (error) => stray.push(`uncaught exception: ${show(error)}`));
process.on('warning', (warning) => stray.push(`warning: ${show(warning)}`));

const chance = new Chance(seed);
const dependency = await new Dependency(chance.fork()).listen();
const app = await NestFactory.create(AppModule.register(dependency.url), {
  logger: ['fatal'],
  forceCloseConnections: true,
});
await app.listen(0, '127.0.0.1');
const server = app.getHttpServer() as Server;
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
const load = new Load(url, clients, chance.fork());
const invariants = new Invariants(app);

const rests: Rest[] = [];
for (let round = 1; round <= ROUNDS; round++) {
  await work((seconds * 1000) / ROUNDS);
  rests.push(await rest());
  const { heap, resources } = rests.at(-1) as Rest;
  console.log(
    `  round ${round}/${ROUNDS}${round === 1 ? ' (warm-up)' : ''}: ${load.sent} requests, ` +
      `${dependency.requests} reached the dependency, heap ${megabytes(heap)}, ` +
      `open: ${show(resources)}`,
  );
}
checkFlat();
await checkRecovery();
checkCoverage();
const figures = invariants.figures();
await close(app);
report(figures);

/** One round of load on a dependency that breaks. */
async function work(milliseconds: number): Promise<void> {
  const sampler = setInterval(() => invariants.checkAlways(), 20);
  const chaos = dependency.breakNowAndThen();
  await load.run(milliseconds);
  dependency.recover();
  await chaos;
  clearInterval(sampler);
}

/** Waits until everything has been given back, then measures what is left. */
async function rest(): Promise<Rest> {
  const until = performance.now() + 3000;
  while ((invariants.isBusy || dependency.hanging > 0) && performance.now() < until) await wait(10);
  invariants.checkAtRest();
  invariants.expect(
    dependency.hanging === 0,
    `${dependency.hanging} requests to the dependency hang though nobody waits for them`,
  );
  await closeConnections();
  collectGarbage();
  await wait(50); // what finalizers let go
  collectGarbage();
  return { heap: process.memoryUsage().heapUsed, resources: openResources() };
}

/** Kept alive by both sides, or opened for a call that was given up: nobody uses one now. */
async function closeConnections(): Promise<void> {
  const until = performance.now() + 3000;
  do {
    server.closeAllConnections();
    dependency.closeAllConnections();
    await wait(50);
  } while ('TCPSocketWrap' in openResources() && performance.now() < until);
}

/** What keeps the process alive, by type. */
function openResources(): Record<string, number> {
  const counts: Record<string, number> = {};
  for (const type of process.getActiveResourcesInfo()) counts[type] = (counts[type] ?? 0) + 1;
  return counts;
}

function checkFlat(): void {
  const [warm, last] = [rests[0], rests.at(-1)] as [Rest, Rest];
  const grown = last.heap - warm.heap;
  invariants.expect(
    grown <= HEAP_ALLOWANCE,
    `the heap has grown by ${megabytes(grown)} since the warm-up`,
  );
  for (const type of new Set([...Object.keys(warm.resources), ...Object.keys(last.resources)])) {
    const [before = 0, after = 0] = [warm.resources[type], last.resources[type]];
    invariants.expect(after <= before, `${type}: ${before} after the warm-up, ${after} at the end`);
  }
}

/** With a sound dependency every circuit closes again: none is stuck. */
async function checkRecovery(): Promise<void> {
  const until = performance.now() + 5000;
  const notClosed = (): string[] =>
    invariants
      .breakers()
      .filter(({ state }) => state !== 'closed')
      .map(({ name, state }) => `${name} is ${state}`);
  while (notClosed().length > 0 && performance.now() < until) {
    await load.once();
    await wait(50);
  }
  for (const stuck of notClosed()) invariants.expect(false, `not closed after recovery: ${stuck}`);
  await rest();
}

/** A run in which nothing broke would show nothing; one of a few seconds cannot meet everything. */
function checkCoverage(): void {
  const missed = Object.entries(dependency.met).filter(([, requests]) => requests === 0);
  const unseen = [...invariants.unseen(), ...missed.map(([mode]) => `the mode "${mode}"`)];
  invariants.expect(invariants.events.has('breaker.opened'), 'no circuit has opened');
  if (seconds >= LONG) {
    for (const what of unseen) invariants.expect(false, `not seen in the whole run: ${what}`);
  } else if (unseen.length > 0) {
    console.log(`  not seen in so short a run: ${unseen.join(', ')}`);
  }
}

async function close(application: INestApplication): Promise<void> {
  const closed = Promise.all([application.close(), dependency.close()]).then(() => true);
  const inTime = await Promise.race([closed, wait(5000, false, { ref: false })]);
  invariants.expect(inTime, 'the application did not close within 5 s');
  // What is left now would keep a process of the user's alive.
  setTimeout(() => {
    console.log(`  VIOLATED  the process does not end: ${process.getActiveResourcesInfo().join()}`);
    process.exit(1);
  }, 5000).unref();
}

function report(lines: readonly string[]): void {
  console.log(lines.map((line) => `  ${line}`).join('\n'));
  const answers = [...load.answers].sort(([a], [b]) => a - b);
  const answered = answers.reduce((sum, [, count]) => sum + count, 0);
  console.log(
    `  ${load.sent} requests: ${answered} answered ` +
      `(${answers.map(([status, count]) => `${status}: ${count}`).join(', ')}), ` +
      `${load.abandoned} given up by the client; slowest answer ${Math.round(load.slowest)} ms`,
  );
  console.log(`  the dependency met ${show(dependency.met)}`);
  console.log(`  events ${show(Object.fromEntries(invariants.events))}`);
  invariants.expect(
    answered + load.abandoned === load.sent,
    `${load.sent - answered - load.abandoned} requests were not answered`,
  );
  const violations = [...invariants.violations, ...load.wrong.slice(0, 10), ...stray];
  for (const violation of violations) console.log(`  VIOLATED  ${violation}`);
  console.log(
    violations.length === 0
      ? 'Every invariant held'
      : `${violations.length} violations; the same schedule again: --seed ${seed}`,
  );
  process.exitCode = violations.length === 0 ? 0 : 1;
}

function readArguments(): { seconds: number; seed: number; clients: number } {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '120' },
      seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
      clients: { type: 'string', default: '48' },
    },
  });
  const read = (name: keyof typeof values, least: number): number => {
    const value = Number(values[name]);
    if (Number.isInteger(value) && value >= least) return value;
    throw new Error(`--${name} must be a whole number of at least ${least}, got ${values[name]}`);
  };
  return { seconds: read('seconds', 5), seed: read('seed', 0), clients: read('clients', 1) };
}

function collectGarbage(): void {
  if (globalThis.gc === undefined) throw new Error('Run it with --expose-gc');
  globalThis.gc();
}

function megabytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(1)} MB`;
}

function show(value: unknown): string {
  return value instanceof Error ? (value.stack ?? value.message) : JSON.stringify(value);
}
