import { type FSWatcher, watch } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import type { NamedOptions } from 'nestjs-bulwark';

/** What may stand in the file, and be changed from outside. */
export type LiveOptions = Pick<NamedOptions, 'circuitBreakers' | 'bulkheads'>;

const GROUPS = ['circuitBreakers', 'bulkheads'];
const MOST_BYTES = 64 * 1024;
/** An editor writes in several steps; one reading is enough for all of them. */
const SETTLED = 50;

/** A JSON file with options, read whole and watched. */
export class ConfigFile {
  readonly path: string;

  constructor(path: string) {
    this.path = resolve(path);
  }

  /** @throws Error for a file that is too large, no JSON, or that holds something else */
  async read(): Promise<LiveOptions> {
    const { size } = await stat(this.path);
    if (size > MOST_BYTES) throw new Error(`${this.path} is larger than ${MOST_BYTES} bytes`);
    return onlyLiveOptions(JSON.parse(await readFile(this.path, 'utf8')));
  }

  /** Calls `changed` some time after each change; the result stops it. */
  watch(changed: () => void): () => void {
    let timer: NodeJS.Timeout | undefined;
    // The folder, since many editors put a new file in the old one's place.
    const watcher: FSWatcher = watch(dirname(this.path), (_event, name) => {
      if (name !== null && name !== basename(this.path)) return;
      clearTimeout(timer);
      timer = setTimeout(changed, SETTLED);
    });
    return () => {
      clearTimeout(timer);
      watcher.close();
    };
  }
}

/** Keeps a file or a request from reaching what is not meant for it. The library checks the rest. */
export function onlyLiveOptions(given: unknown): LiveOptions {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    throw new TypeError('The options must be an object');
  }
  const others = Object.keys(given).filter((key) => !GROUPS.includes(key));
  if (others.length === 0) return given;
  throw new TypeError(`Only ${GROUPS.join(' and ')} can be changed, got ${others.join(', ')}`);
}
