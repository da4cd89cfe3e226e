import 'reflect-metadata';
import { once } from 'node:events';
import { type Server, createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { HttpModule, HttpService } from '@nestjs/axios';
import { Injectable } from '@nestjs/common';
import axios from 'axios';
import {
  type CircuitBreaker,
  CircuitBreakerRegistry,
  CircuitProtected,
  ResilienceModule,
  Retry,
  adaptiveLimit,
  clientThrottle,
  currentSignal,
  hedge,
  isAbortError,
  pipeline,
  timeLimit,
} from 'nestjs-bulwark';
import { Observable, firstValueFrom, map } from 'rxjs';
import { Lab, settled } from '../support/lab.js';
import { closeAll, start } from './support/applications.js';

/** A dependency that answers the paths ending in `fast` and keeps everyone else waiting. */
class Dependency {
  readonly #server: Server = createServer(({ url }, response) => {
    if (url?.endsWith('fast') === true) response.end('"answer"');
  });

  async listen(): Promise<void> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
  }

  get url(): string {
    return `http://127.0.0.1:${String((this.#server.address() as AddressInfo).port)}`;
  }

  /** When the next request has come. */
  async request(): Promise<void> {
    await once(this.#server, 'request');
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }
}

let lab: Lab;
let dependency: Dependency;
beforeEach(async () => {
  lab = new Lab();
  dependency = new Dependency();
  await dependency.listen();
});
afterEach(async () => {
  await closeAll();
  await dependency.close();
});

const get = (path: string) => async (): Promise<string> =>
  (await axios.get<string>(`${dependency.url}/${path}`, { signal: currentSignal() })).data;

@Injectable()
class Catalog {
  constructor(private readonly http: HttpService) {}

  @Retry({ maxAttempts: 3 })
  @CircuitProtected('catalog')
  find(path: string): Observable<string> {
    return this.http.get<string>(`${dependency.url}/${path}`).pipe(map(({ data }) => data));
  }

  @Retry({ maxAttempts: 3 })
  @CircuitProtected('catalog')
  load(path: string, signal: AbortSignal): Promise<string> {
    return firstValueFrom(
      this.http.get<string>(`${dependency.url}/${path}`, { signal }).pipe(map(({ data }) => data)),
    );
  }
}

async function startCatalog(): Promise<{ catalog: Catalog; breaker: CircuitBreaker }> {
  const circuitBreakers = { catalog: { failureThreshold: 1 } };
  const application = await start({
    imports: [HttpModule, ResilienceModule.forRoot({ circuitBreakers, runtime: lab.runtime })],
    providers: [Catalog],
  });
  return {
    catalog: application.get(Catalog),
    breaker: application.get(CircuitBreakerRegistry).get('catalog'),
  };
}

/** When none of its calls runs any more. */
async function idle(breaker: CircuitBreaker): Promise<void> {
  while (breaker.stats.inFlight > 0) await new Promise((resolve) => setImmediate(resolve));
}

describe('a request of axios that is cancelled', () => {
  it("counts as nothing for a circuit breaker when the call's own signal cancels it", async () => {
    const { catalog, breaker } = await startCatalog();
    const leaving = new AbortController();
    const loading = settled(catalog.load('slow', leaving.signal));
    await dependency.request();
    leaving.abort();
    const outcome = await loading;
    expect('error' in outcome && isAbortError(outcome.error)).toBe(true);
    expect(outcome).toMatchObject({ error: { name: 'CanceledError', code: 'ERR_CANCELED' } });
    expect(breaker.stats).toMatchObject({ totalCalls: 1, ignoredCalls: 1, failedCalls: 0 });
    await expect(catalog.load('fast', new AbortController().signal)).resolves.toBe('answer');
  });

  it('counts as nothing when an HttpService is unsubscribed from', async () => {
    const { catalog, breaker } = await startCatalog();
    const subscription = catalog.find('slow').subscribe();
    await dependency.request();
    subscription.unsubscribe();
    await idle(breaker);
    expect(breaker.stats).toMatchObject({ totalCalls: 1, ignoredCalls: 1 });
    await expect(firstValueFrom(catalog.find('fast'))).resolves.toBe('answer');
  });

  it('is a time-out behind a time limit, for the caller and for what stands inside', async () => {
    const throttle = clientThrottle({}, { runtime: lab.runtime });
    const limit = adaptiveLimit({}, { runtime: lab.runtime });
    const policy = pipeline(timeLimit('1s', { runtime: lab.runtime }), throttle, limit);
    const calling = settled(policy.execute(get('slow')));
    await dependency.request();
    await lab.clock.advance(1000);
    expect(await calling).toMatchObject({ error: { code: 'TIMEOUT' } });
    while (limit.snapshot().inUse > 0) await new Promise((resolve) => setImmediate(resolve));
    expect(throttle.snapshot().calls).toMatchObject({ accepted: 0, rejected: 1 });
    expect(limit.snapshot().calls).toMatchObject({ dropped: 1, ignored: 0 });
  });

  it('counts as nothing when another try of a hedge has won', async () => {
    const { breaker } = await startCatalog();
    const policy = pipeline(hedge({ delay: 10 }, { runtime: lab.runtime }), breaker);
    let tries = 0;
    const calling = policy.execute(() => get(++tries === 1 ? 'slow' : 'fast')());
    await dependency.request();
    await lab.clock.advance(10);
    await expect(calling).resolves.toBe('answer');
    await idle(breaker);
    expect(breaker.stats).toMatchObject({ successfulCalls: 1, ignoredCalls: 1, failedCalls: 0 });
  });
});
