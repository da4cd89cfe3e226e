import { Agent, get } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import type { Chance } from './chance.js';
import { ROUTES } from './app.module.js';

/** Longer than any route may take, by its time limits. */
const ANSWER_WITHIN = 5000;
export const TENANTS = Array.from({ length: 8 }, (_, number) => `tenant-${number}`);
/** More keys than are kept. */
const CROWD = 500;

/** Clients that send one request after the other, and note how each ended. */
export class Load {
  readonly #agent = new Agent({ keepAlive: true });
  sent = 0;
  abandoned = 0;
  readonly answers = new Map<number, number>();
  /** Requests without an answer, or with one that no policy gives. */
  readonly wrong: string[] = [];
  slowest = 0;

  constructor(
    private readonly url: string,
    private readonly clients: number,
    private readonly chance: Chance,
  ) {}

  async run(milliseconds: number): Promise<void> {
    const until = performance.now() + milliseconds;
    const clients = Array.from({ length: this.clients }, () => this.#client(until));
    await Promise.all(clients);
    this.#agent.destroy(); // its idle connections; the next round opens new ones
  }

  /** One request to every route, and one for every tenant. */
  async once(): Promise<void> {
    for (const route of ROUTES) await this.#send(route, TENANTS[0] as string);
    for (const tenant of TENANTS) await this.#send('/tenants/:tenant', tenant);
    this.#agent.destroy();
  }

  async #client(until: number): Promise<void> {
    const chance = this.chance.fork();
    while (performance.now() < until) {
      const patience = chance.next() < 0.05 ? chance.between(0, 60) : undefined;
      const deadline = chance.next() < 0.1 ? chance.between(5, 200) : undefined;
      await this.#send(chance.pick(ROUTES), chance.pick(TENANTS), patience, deadline);
      if (chance.next() < 0.5) await wait(chance.between(0, 10));
    }
  }

  /** @param patience milliseconds after which the client hangs up, where it does */
  async #send(route: string, tenant: string, patience?: number, deadline?: number): Promise<void> {
    this.sent++;
    const crowd = String(this.sent % CROWD);
    const path = route.replace(':tenant', tenant).replace(':member', crowd);
    const began = performance.now();
    const headers = deadline === undefined ? {} : { 'x-request-timeout-ms': Math.ceil(deadline) };
    await new Promise<void>((resolve) => {
      let gaveUp = false;
      const request = get(this.url + path, { agent: this.#agent, headers }, (response) => {
        response.once('error', failed);
        response.once('end', () => {
          this.#answered(path, response.statusCode ?? 0, performance.now() - began);
          end();
        });
        response.resume();
      });
      const failed = (error: Error): void => {
        if (gaveUp) this.abandoned++;
        else this.wrong.push(`${path}: ${error.message}`);
        end();
      };
      const end = (): void => {
        clearTimeout(hangUp);
        clearTimeout(tooLate);
        resolve();
      };
      const hangUp = setTimeout(() => {
        if (patience === undefined) return;
        gaveUp = true;
        request.destroy(new Error('given up'));
      }, patience ?? 0);
      if (patience === undefined) clearTimeout(hangUp);
      const tooLate = setTimeout(() => {
        request.destroy(new Error(`no answer within ${ANSWER_WITHIN} ms`));
      }, ANSWER_WITHIN);
      request.once('error', failed);
    });
  }

  #answered(path: string, status: number, took: number): void {
    this.answers.set(status, (this.answers.get(status) ?? 0) + 1);
    this.slowest = Math.max(this.slowest, took);
    if (![200, 429, 502, 503, 504].includes(status)) this.wrong.push(`${path}: status ${status}`);
  }
}
