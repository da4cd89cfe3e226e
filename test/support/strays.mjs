/** What rejects or throws where nobody handles it, once the suite that began it is over. */
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';

const VARIABLE = 'BULWARK_STRAYS'; // tells the workers, which inherit it, where to write

/** For the processes that run specs: a stray is written down instead of ending the process. */
export function recordStrays() {
  const record = (error) => {
    process.exitCode = 1; // for one that comes after the reporter has read
    const file = process.env[VARIABLE];
    if (file) appendFileSync(file, `${inspect(error)}\n`);
    else console.error(error);
  };
  process.on('uncaughtException', record);
  process.on('unhandledRejection', record);
}

/** Fails the run that has strays. */
export default class StrayReporter {
  #folder;
  #strays = '';

  onRunStart() {
    this.#folder = mkdtempSync(join(tmpdir(), 'strays-'));
    process.env[VARIABLE] = join(this.#folder, 'strays.txt');
  }

  onRunComplete() {
    const file = process.env[VARIABLE];
    if (existsSync(file)) this.#strays = readFileSync(file, 'utf8');
    rmSync(this.#folder, { recursive: true });
    delete process.env[VARIABLE];
  }

  getLastError() {
    if (this.#strays === '') return undefined;
    return new Error(`Unhandled after the suite that began it was over:\n${this.#strays}`);
  }
}
