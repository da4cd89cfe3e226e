/** One measurement in a process of its own; the task comes as JSON, the result leaves as a message. */
import { Skip } from './libraries/work.mjs';

const { program, library, kind, variant, size, sizes, effort } = JSON.parse(process.argv[2]);

const tasks = {
  async times() {
    const { measureTimes } = await import('./programs/calls.mjs');
    return measureTimes(kind, await candidate(), effort);
  },
  async bytes() {
    const { measureBytes } = await import('./programs/calls.mjs');
    return measureBytes(kind, await candidate());
  },
  async idle() {
    const { measureIdle } = await import('./programs/idle.mjs');
    return measureIdle(await offered('makeBreaker'), await offered('callBreaker'));
  },
  async 'in-flight'() {
    const { measureInFlight } = await import('./programs/in-flight.mjs');
    return measureInFlight(await offered('makePipeline'), { sizes, rounds: effort.rounds });
  },
  async 'curve-breakers'() {
    const { measureBreakers } = await import('./programs/curves.mjs');
    return measureBreakers(size, effort);
  },
  async 'curve-methods'() {
    const { measureMethods } = await import('./programs/curves.mjs');
    return measureMethods(size, effort);
  },
  async 'start-up'() {
    const { measureStartUp } = await import('./programs/start-up.mjs');
    return measureStartUp(variant);
  },
};

async function candidate() {
  const { cases } = await import(`./libraries/${library}.mjs`);
  const make = cases[variant];
  if (make === undefined) throw new Skip('no such policy');
  return make();
}

async function offered(name) {
  const make = (await import(`./libraries/${library}.mjs`))[name];
  if (make === undefined) throw new Skip('no such policy');
  return make;
}

let answer;
try {
  answer = await tasks[program]();
} catch (error) {
  answer = error instanceof Skip ? { skipped: error.message } : { failed: error.stack };
}
// Timers of the peers would keep the process alive.
process.send(answer, () => process.exit());
