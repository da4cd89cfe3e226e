import { type ClientRequest, type IncomingHttpHeaders, request } from 'node:http';
import type { AddressInfo, Server } from 'node:net';
import { json } from 'node:stream/consumers';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { type CircuitBreaker, getCircuitBreakerToken } from 'nestjs-bulwark';
import { FakeClock } from 'nestjs-bulwark/testing';
import { AppModule } from '../../sample/01-payments/src/app.module.js';
import { type Platform, httpAdapterFor } from '../../sample/01-payments/src/http-adapter.js';
import {
  type Mode,
  PaymentProvider,
} from '../../sample/01-payments/src/payment-provider/payment-provider.js';

/** Real milliseconds, on the slowest machine. */
const PATIENCE = 4000;

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: any; // eslint-disable-line @typescript-eslint/no-explicit-any
}

export interface RequestOptions {
  readonly method?: string;
  readonly headers?: Record<string, string> | undefined;
  readonly body?: object;
}

/** The sample with its payment provider, both listening, at a time of its own. */
export class Shop {
  private constructor(
    readonly provider: PaymentProvider,
    readonly app: INestApplication,
    readonly clock: FakeClock,
  ) {}

  static async open(platform: Platform, recoveryTimeout = '10s'): Promise<Shop> {
    const provider = await new PaymentProvider().listen(0);
    const clock = new FakeClock();
    const module = await Test.createTestingModule({
      imports: [
        AppModule.register({
          providerUrl: provider.url,
          recoveryTimeout,
          // Chance is against waiting: full jitter makes every retry follow at once.
          runtime: { clock, random: () => 0 },
        }),
      ],
    }).compile();
    const app = module.createNestApplication(httpAdapterFor(platform), {
      logger: false,
      forceCloseConnections: true,
    });
    await app.listen(0, '127.0.0.1');
    return new Shop(provider, app, clock);
  }

  get breaker(): CircuitBreaker {
    return this.app.get<CircuitBreaker>(getCircuitBreakerToken('payments'));
  }

  async charge(amount = 42, idempotencyKey?: string): Promise<Answer> {
    const headers =
      idempotencyKey === undefined ? undefined : { 'idempotency-key': idempotencyKey };
    return this.get('/charges', { method: 'POST', headers, body: { amount } });
  }

  /** Sends a request and lets retries follow until its answer is there. */
  async get(path: string, options?: RequestOptions): Promise<Answer> {
    const answer = answerTo(this.send(path, options));
    await this.until(answer);
    return answer;
  }

  /** Sends a request and leaves it. */
  send(path: string, options?: RequestOptions): ClientRequest {
    return send(`${this.#url}${path}`, options);
  }

  /** Lets what is due now run, between turns of real I/O, until `done` has settled or is true. */
  async until(done: Promise<unknown> | (() => boolean)): Promise<void> {
    const isDone = typeof done === 'function' ? done : whenSettled(done);
    await turnUntil(isDone, () => this.clock.advance(0));
  }

  /** Lets I/O go on, but no time, until a retry waits. */
  async untilRetryWaits(): Promise<void> {
    await turnUntil(() => this.clock.pendingTimers > 0);
  }

  /** Switches the provider the way a user does. */
  async turnProvider(mode: Mode): Promise<void> {
    await answerTo(send(`${this.provider.url}/mode/${mode}`, { method: 'POST' }));
  }

  /** What the provider says it has seen. */
  async providerCounts(): Promise<{ requests: number; charges: number }> {
    const { body } = await answerTo(send(`${this.provider.url}/requests`));
    return body as { requests: number; charges: number };
  }

  /** Breaks the provider and charges until the circuit is open: five counted failures. */
  async openCircuit(): Promise<void> {
    await this.turnProvider('fail');
    await this.charge();
    await this.charge();
  }

  async close(): Promise<void> {
    await Promise.all([this.app.close(), this.provider.close()]);
  }

  get #url(): string {
    const server = this.app.getHttpServer() as Server;
    const { port } = server.address() as AddressInfo;
    return `http://127.0.0.1:${String(port)}`;
  }
}

async function turnUntil(isDone: () => boolean, turn?: () => Promise<void>): Promise<void> {
  const givesUpAt = performance.now() + PATIENCE;
  while (!isDone()) {
    if (performance.now() > givesUpAt) throw new Error('Waited in vain');
    await turn?.();
    await nextTurn();
  }
}

function whenSettled(promise: Promise<unknown>): () => boolean {
  let settled = false;
  const settle = (): void => void (settled = true);
  promise.then(settle, settle);
  return () => settled;
}

function send(url: string, { body, headers, ...options }: RequestOptions = {}): ClientRequest {
  const type = body && { 'content-type': 'application/json' };
  const sent = request(url, { ...options, headers: { ...type, ...headers }, agent: false });
  return sent.end(body && JSON.stringify(body));
}

function answerTo(sent: ClientRequest): Promise<Answer> {
  return new Promise((resolve, reject) => {
    sent.once('error', reject);
    sent.once('response', (response) => {
      const { statusCode: status = 0, headers } = response;
      json(response).then((body) => resolve({ status, headers, body }), reject);
    });
  });
}
