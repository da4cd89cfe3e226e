import { type IncomingMessage, type Server, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import type { Chance } from './chance.js';

export const MODES = ['ok', 'slow', 'fail', 'overload', 'hang', 'reset', 'flaky'] as const;
export type Mode = (typeof MODES)[number];

/** A real HTTP server on the loopback that breaks in every way, for a while each, as chance decides. */
export class Dependency {
  readonly #server: Server = createServer((request, response) => {
    void this.#serve(request, response);
  });
  readonly #phases: Chance;
  readonly #details: Chance;
  #deck: Mode[] = [];
  #chaos: AbortController | undefined;
  mode: Mode = 'ok';
  requests = 0;
  /** Requests that it never answers, and whose client still waits. */
  hanging = 0;
  /** How many requests met each mode. */
  readonly met: Record<Mode, number> = {
    ok: 0,
    slow: 0,
    fail: 0,
    overload: 0,
    hang: 0,
    reset: 0,
    flaky: 0,
  };

  constructor(chance: Chance) {
    this.#phases = chance.fork();
    this.#details = chance.fork();
  }

  async listen(): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Breaks and recovers until `recover()`. Every other phase is a good one; every mode has its turn. */
  async breakNowAndThen(): Promise<void> {
    this.#chaos = new AbortController();
    const { signal } = this.#chaos;
    while (!signal.aborted) {
      this.mode = this.mode === 'ok' ? this.#nextFault() : 'ok';
      const length = this.#phases.between(100, this.mode === 'ok' ? 700 : 500);
      await wait(length, undefined, { signal }).catch(() => undefined);
    }
  }

  #nextFault(): Mode {
    if (this.#deck.length === 0) {
      this.#deck = this.#phases.shuffled(MODES.filter((mode) => mode !== 'ok'));
    }
    return this.#deck.pop() as Mode;
  }

  recover(): void {
    this.#chaos?.abort();
    this.mode = 'ok';
  }

  closeAllConnections(): void {
    this.#server.closeAllConnections();
  }

  async close(): Promise<void> {
    await new Promise((resolve) => {
      this.#server.close(resolve);
      this.closeAllConnections();
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    this.requests++;
    this.met[this.mode]++;
    const chance = this.#details;
    const mode = this.mode === 'flaky' ? chance.pick(MODES) : this.mode;
    if (mode === 'hang') {
      this.hanging++;
      request.socket.once('close', () => this.hanging--);
      return;
    }
    const delay = mode === 'slow' ? chance.between(50, 400) : chance.between(0, 6);
    await wait(delay, undefined, { ref: false }); // its client may have gone: none of our timers
    if (mode === 'reset') {
      request.socket.resetAndDestroy();
      return;
    }
    response.statusCode = mode === 'fail' ? 500 : mode === 'overload' ? 503 : 200;
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ path: request.url }));
  }
}
