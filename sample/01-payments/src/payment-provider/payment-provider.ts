import { randomUUID } from 'node:crypto';
import { type IncomingMessage, type ServerResponse, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { setTimeout as wait } from 'node:timers/promises';

const MODES = ['ok', 'fail', 'hang', 'slow', 'reset'] as const;
export type Mode = (typeof MODES)[number];

interface Answer {
  readonly status: number;
  readonly body: object;
}

const CREDIT_LIMIT = 1000;
const SLOW = 1000;

/**
 * Stands in for a company that you do not run: a server of its own, which breaks when told to.
 * `POST /mode/fail` breaks it, `POST /mode/ok` repairs it, `GET /requests` tells what reached it.
 */
export class PaymentProvider {
  readonly #server = createServer((request, response) => void this.#serve(request, response));
  readonly #receipts = new Map<string, { id: string; amount: number }>();
  #requests = 0;
  #hanging = 0;
  mode: Mode = 'ok';

  /** @param port 0 for any free one */
  async listen(port: number): Promise<this> {
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject).listen(port, '127.0.0.1', resolve);
    });
    return this;
  }

  get url(): string {
    const { port } = this.#server.address() as AddressInfo;
    return `http://127.0.0.1:${port}`;
  }

  /** Requests that reached it, and charges that it made. */
  get counts(): { requests: number; charges: number } {
    return { requests: this.#requests, charges: this.#receipts.size };
  }

  /** Requests without an answer whose clients still wait. */
  get hanging(): number {
    return this.#hanging;
  }

  /** Drops whatever is still hanging. */
  async close(): Promise<void> {
    await new Promise((resolve) => {
      this.#server.close(resolve);
      this.#server.closeAllConnections();
    });
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const answer = this.#control(request) ?? (await this.#doBusiness(request));
    if (answer === undefined) return;
    response.writeHead(answer.status, { 'content-type': 'application/json' });
    response.end(`${JSON.stringify(answer.body)}\n`);
  }

  /** The switches: they work in every mode, and are not counted. */
  #control({ method, url = '' }: IncomingMessage): Answer | undefined {
    if (method === 'GET' && url === '/requests') {
      return { status: 200, body: { mode: this.mode, ...this.counts } };
    }
    const wanted = method === 'POST' ? /^\/mode\/(.*)$/.exec(url)?.[1] : undefined;
    if (wanted === undefined) return undefined;
    const mode = MODES.find((known) => known === wanted);
    if (mode === undefined) return refuse(404, `The modes are ${MODES.join(', ')}`);
    this.mode = mode;
    return { status: 200, body: { mode } };
  }

  /** Nothing when no answer is to be given. */
  async #doBusiness(request: IncomingMessage): Promise<Answer | undefined> {
    this.#requests++;
    if (this.mode === 'hang') return this.#hang(request);
    if (this.mode === 'fail') return refuse(500, 'Something broke');
    if (this.mode === 'slow') await wait(SLOW, undefined, { ref: false });
    const answer = await this.#answer(request);
    if (this.mode !== 'reset') return answer;
    // The work is done, and its client will never know: what idempotency keys are for.
    request.socket.resetAndDestroy();
    return undefined;
  }

  #hang(request: IncomingMessage): undefined {
    this.#hanging++;
    request.socket.once('close', () => this.#hanging--);
  }

  async #answer(request: IncomingMessage): Promise<Answer> {
    const { method, url = '', headers } = request;
    if (method === 'POST' && url === '/charges') {
      const { amount } = (await json(request)) as { amount: number };
      return this.#charge(amount, String(headers['idempotency-key'] ?? randomUUID()));
    }
    if (url === '/exchange-rates') {
      return { status: 200, body: { base: 'EUR', rates: { USD: 1.08, GBP: 0.85 } } };
    }
    const receipt = [...this.#receipts.values()].find(({ id }) => url === `/receipts/${id}`);
    return receipt ? { status: 200, body: receipt } : refuse(404, 'There is no such receipt');
  }

  #charge(amount: number, key: string): Answer {
    if (amount > CREDIT_LIMIT) return refuse(402, 'The card was declined');
    const receipt = this.#receipts.get(key) ?? { id: randomUUID(), amount };
    this.#receipts.set(key, receipt);
    return { status: 201, body: receipt };
  }
}

function refuse(status: number, message: string): Answer {
  return { status, body: { message } };
}
