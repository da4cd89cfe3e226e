import type { AddressInfo, Server } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { type CircuitBreaker, getCircuitBreakerToken } from 'nestjs-bulwark';
import { FakeClock } from 'nestjs-bulwark/testing';
import { AppModule } from '../../sample/02-microservice/src/app.module.js';
import type { Mode } from '../../sample/02-microservice/src/price-service/prices.handlers.js';
import {
  type PriceService,
  startPriceService,
} from '../../sample/02-microservice/src/price-service/start.js';

/** Real milliseconds, on the slowest machine. */
const PATIENCE = 4000;
const RECOVERY = 10_000;

interface Answer {
  readonly status: number;
  readonly retryAfter: string | null;
  readonly body: unknown;
}

let service: PriceService;
let gateway: INestApplication;
let clock: FakeClock;

beforeEach(async () => {
  service = await startPriceService(0);
  clock = new FakeClock();
  const module = await Test.createTestingModule({
    imports: [
      AppModule.register({
        servicePort: service.port,
        recoveryTimeout: RECOVERY,
        // Chance is against waiting: full jitter makes every retry follow at once.
        runtime: { clock, random: () => 0 },
      }),
    ],
  }).compile();
  gateway = module.createNestApplication({ logger: false, forceCloseConnections: true });
  await gateway.listen(0, '127.0.0.1');
});
afterEach(async () => {
  await gateway.close();
  await service.app.close();
});

/** Sends a request; while its answer is awaited, what is due runs, and `step` ms go by each turn. */
async function send(path: string, { method = 'GET', step = 0 } = {}): Promise<Answer> {
  const { port } = (gateway.getHttpServer() as Server).address() as AddressInfo;
  const url = `http://127.0.0.1:${String(port)}${path}`;
  const answer = fetch(url, { method, headers: { connection: 'close' } }).then(
    async (response): Promise<Answer> => ({
      status: response.status,
      retryAfter: response.headers.get('retry-after'),
      body: await response.json(),
    }),
  );
  const isDone = whenSettled(answer);
  for (const givesUpAt = performance.now() + PATIENCE; !isDone();) {
    if (performance.now() > givesUpAt) throw new Error(`No answer to ${path}`);
    await clock.advance(step);
    await nextTurn();
  }
  return answer;
}
function whenSettled(promise: Promise<unknown>): () => boolean {
  let settled = false;
  const settle = (): void => void (settled = true);
  promise.then(settle, settle);
  return () => settled;
}
const turn = (mode: Mode): Promise<Answer> => send(`/mode/${mode}`, { method: 'POST' });
const breaker = (): CircuitBreaker => gateway.get(getCircuitBreakerToken('prices'));
async function requests(): Promise<number> {
  const { body } = await send('/requests');
  return (body as { requests: number }).requests;
}
const fresh = (...prices: number[]): object[] =>
  prices.map((price) => ({ symbol: 'ACME', price, stale: false }));
const routes: [string, string, unknown][] = [
  ['send().pipe(resilient(policy))', '/prices/ACME', fresh(43)[0]],
  ['a decorated method', '/prices/ACME/ticks', fresh(41, 42, 43)],
];

describe.each(routes)('R43: ClientProxy.send() over TCP through %s', (_title, path, body) => {
  it('gives the items of the service, each subscription one call', async () => {
    expect(await send(path)).toMatchObject({ status: 200, body });
    expect(await send(path)).toMatchObject({ status: 200, body });
    expect(await requests()).toBe(2);
    expect(breaker().stats).toMatchObject({ successfulCalls: 2, inFlight: 0 });
  });

  it('sends the message again that failed', async () => {
    await turn('flaky');
    expect(await send(path)).toMatchObject({ status: 200, body });
    expect(await requests()).toBe(2);
    expect(breaker().stats).toMatchObject({ successfulCalls: 1, failedCalls: 1 });
  });

  it('takes an unknown symbol for an answer: no retry, no counted failure', async () => {
    expect(await send(path.replace('ACME', 'NONE'))).toMatchObject({
      status: 404,
      body: { message: 'There is no NONE' },
    });
    expect(await requests()).toBe(1);
    expect(breaker().stats).toMatchObject({ failedCalls: 0, ignoredCalls: 1 });
  });

  it('tries three times, and the fifth failure in a row opens the circuit', async () => {
    await turn('fail');
    expect(await send(path)).toMatchObject({ status: 503, retryAfter: null });
    expect(await requests()).toBe(3);
    expect(await send(path)).toMatchObject({ status: 503, retryAfter: '10' });
    expect(await requests()).toBe(5);
    expect(await send('/circuit')).toMatchObject({
      body: { state: 'open', remainingTimeout: RECOVERY },
    });
    expect(await send(path)).toMatchObject({ status: 503, retryAfter: '10' });
    expect(await requests()).toBe(5);
  });

  it('closes again after two probes', async () => {
    await turn('fail');
    for (let each = 0; each < 2; each++) await send(path);
    await turn('ok');
    await clock.advance(RECOVERY);
    for (const state of ['half_open', 'closed']) {
      expect(await send(path)).toMatchObject({ status: 200, body });
      expect(breaker().state).toBe(state);
    }
  });

  it('R60: gives a hanging service up, attempt by attempt, with 504', async () => {
    await turn('hang');
    const before = clock.now();
    expect(await send(path, { step: 10 })).toMatchObject({ status: 504 });
    expect(clock.now() - before).toBeLessThanOrEqual(2000);
    await turn('ok');
    expect(await requests()).toBe(3);
    expect(breaker().stats).toMatchObject({ failedCalls: 3, inFlight: 0 });
  });

  it('survives a service that is not there', async () => {
    await service.app.close();
    expect(await send(path)).toMatchObject({ status: 503 });
    expect(breaker().stats).toMatchObject({ failedCalls: 3 });
    service = await startPriceService(service.port);
    expect(await send(path)).toMatchObject({ status: 200, body });
  });
});

it('R63: ticks come from memory while the circuit is open', async () => {
  await send('/prices/ACME/ticks');
  await turn('fail');
  for (let each = 0; each < 2; each++) await send('/prices/ACME');
  const stale = [{ symbol: 'ACME', price: 43, stale: true }];
  expect(await send('/prices/ACME/ticks')).toMatchObject({ status: 200, body: stale });
  expect(await requests()).toBe(6);
});
