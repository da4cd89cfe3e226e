import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { INestApplication } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import {
  type BulkheadSnapshot,
  type CircuitBreakerSnapshot,
  ResilienceConfigError,
} from 'nestjs-bulwark';
import { FakeClock } from 'nestjs-bulwark/testing';
import supertest from 'supertest';
import { AppModule } from '../../sample/03-live-config/src/app.module.js';
import { Supplier } from '../../sample/03-live-config/src/quotes/supplier.js';
import { type Deferred, deferred } from '../support/lab.js';

/** Real milliseconds, on the slowest machine. */
const PATIENCE = 4000;

async function until(done: () => boolean | Promise<boolean>): Promise<void> {
  const givesUpAt = performance.now() + PATIENCE;
  while (!(await done())) {
    if (performance.now() > givesUpAt) throw new Error('Waited in vain');
    await nextTurn();
  }
}

/** A supplier that answers when the test says so. */
class HeldSupplier extends Supplier {
  readonly held: Deferred<{ article: string; price: number }>[] = [];

  override quote(article: string): Promise<{ article: string; price: number }> {
    if (this.mode === 'fail') return super.quote(article);
    const call = deferred<{ article: string; price: number }>();
    this.held.push(call);
    return call.promise;
  }

  answer(count = this.held.length): void {
    for (const call of this.held.splice(0, count)) call.resolve({ article: 'any', price: 1 });
  }
}

const OPTIONS = {
  circuitBreakers: { supplier: { failureThreshold: 5, recoveryTimeout: '10s' } },
  bulkheads: { supplier: { maxConcurrent: 2, maxQueue: 4 } },
};

const logged: unknown[] = [];
const logger = {
  log: () => undefined,
  warn: () => undefined,
  error: (message: unknown) => logged.push(message),
};

let folder: string;
let file: string;
let app: INestApplication;
let supplier: HeldSupplier;

async function open(): Promise<void> {
  const module = await Test.createTestingModule({
    imports: [AppModule.register({ config: file, runtime: { clock: new FakeClock() } })],
  })
    .overrideProvider(Supplier)
    .useClass(HeldSupplier)
    .compile();
  logged.length = 0;
  app = module.createNestApplication({ logger, forceCloseConnections: true });
  await app.listen(0, '127.0.0.1');
  supplier = app.get(Supplier, { strict: false });
}

const http = () => supertest(app.getHttpServer());
const quotes = (count: number): Promise<number>[] =>
  Array.from({ length: count }, async () => (await http().get('/quotes/1')).status);
const patch = (changes: object) => http().patch('/resilience').send(changes);
const save = (options: unknown): Promise<void> =>
  writeFile(file, typeof options === 'string' ? options : JSON.stringify(options));

interface Figures {
  readonly breaker: CircuitBreakerSnapshot & { options: { failureThreshold: number } };
  readonly bulkhead: BulkheadSnapshot & { options: { maxConcurrent: number; maxQueue: number } };
}

async function figures(): Promise<Figures> {
  const [breaker, bulkhead] = (await http().get('/resilience').expect(200)).body as unknown[];
  return { breaker, bulkhead } as Figures;
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'live-config-'));
  file = join(folder, 'resilience.json');
  await save(OPTIONS);
});
afterEach(async () => {
  supplier.answer();
  await app.close();
  await rm(folder, { recursive: true });
});

describe('R75 the live-config sample, changed by its route', () => {
  beforeEach(open);

  it('starts what waits when it gets more slots', async () => {
    const answers = quotes(6);
    await until(async () => (await figures()).bulkhead.queued === 4);
    await patch({ bulkheads: { supplier: { maxConcurrent: 6 } } }).expect(200);
    expect((await figures()).bulkhead).toMatchObject({ inUse: 6, queued: 0 });
    supplier.answer();
    expect(await Promise.all(answers)).toEqual(Array(6).fill(200));
  });

  it('loses no statistic and no permit in flight, whatever is changed under load', async () => {
    const answers: Promise<number>[] = [];
    for (let round = 0; round < 10; round++) {
      answers.push(...quotes(4));
      await patch({
        bulkheads: { supplier: { maxConcurrent: 1 + (round % 5), maxQueue: 4 + (round % 3) } },
        circuitBreakers: { supplier: { failureThreshold: 3 + round } },
      }).expect(200);
      await patch({ bulkheads: { supplier: { maxConcurrent: -round } } }).expect(400);
      supplier.answer(2);
    }
    await patch({ bulkheads: { supplier: { maxConcurrent: 100 } } }).expect(200);
    let left = answers.length;
    for (const answer of answers) void answer.then(() => left--);
    await until(() => {
      supplier.answer();
      return left === 0;
    });

    const statuses = await Promise.all(answers);
    const served = statuses.filter((status) => status === 200).length;
    const turnedAway = statuses.filter((status) => status === 503).length;
    expect(served + turnedAway).toBe(40);
    const { breaker, bulkhead } = await figures();
    expect(bulkhead).toMatchObject({
      calls: { accepted: served, rejected: turnedAway, queue_timeout: 0, aborted: 0 },
      inUse: 0,
      queued: 0,
    });
    expect(breaker.stats).toMatchObject({
      totalCalls: 40,
      successfulCalls: served,
      ignoredCalls: turnedAway,
      inFlight: 0,
    });
  });

  it('keeps what the breaker has counted', async () => {
    await http().post('/supplier/fail').expect(201);
    expect(await Promise.all(quotes(2))).toEqual([502, 502]);
    await patch({ circuitBreakers: { supplier: { failureThreshold: 3 } } }).expect(200);
    const third = await http().get('/quotes/1');
    const fourth = await http().get('/quotes/1');
    expect([third.status, fourth.status]).toEqual([502, 503]);
    expect(fourth.headers).toMatchObject({ 'retry-after': '10' });
  });

  it.each([
    [
      'a part of it breaks a rule',
      {
        circuitBreakers: { supplier: { failureThreshold: 1 } },
        bulkheads: { supplier: { maxConcurrent: 0, maxQueues: 3 } },
      },
      [
        'bulkhead(supplier).maxQueues is not a known option; did you mean "maxQueue"?',
        'bulkhead(supplier).maxConcurrent must be a whole number of at least 1, got 0',
      ],
    ],
    [
      'nobody has that name',
      { circuitBreakers: { suppliers: {} } },
      [
        'ResilienceConfigurator.configure(): circuit breaker "suppliers" is not configured (known: supplier); did you mean "supplier"?',
      ],
    ],
    [
      'it is not for this route',
      { policies: { quotes: { timeLimit: 1 } } },
      ['Only circuitBreakers and bulkheads can be changed, got policies'],
    ],
    ['it is no object', [], ['The options must be an object']],
  ])('changes nothing and answers 400 with the issues when %s', async (_why, changes, issues) => {
    const before = await figures();
    await patch(changes).expect(400, { message: 'Nothing has changed', issues });
    expect(await figures()).toEqual(before);
  });
});

describe('R75 the live-config sample, changed by its file', () => {
  it.each([
    ['written', save],
    [
      'put in its place',
      async (options: unknown) => {
        await writeFile(`${file}.new`, JSON.stringify(options));
        await rename(`${file}.new`, file);
      },
    ],
  ])('takes over a file that is %s', async (_how, write) => {
    await open();
    const answers = quotes(3);
    await until(() => supplier.held.length === 2);
    await write({ ...OPTIONS, bulkheads: { supplier: { maxConcurrent: 3, maxQueue: 4 } } });
    await until(() => supplier.held.length === 3);
    supplier.answer();
    expect(await Promise.all(answers)).toEqual([200, 200, 200]);
  });

  it.each([
    ['breaks a rule', { ...OPTIONS, bulkheads: { supplier: { maxConcurrent: 0 } } }],
    ['is no JSON', '{ "bulkheads": '],
    ['is too large', JSON.stringify({ bulkheads: {}, padding: 'x'.repeat(70_000) })],
  ])('changes nothing for one that %s, and goes on with the next', async (_why, bad) => {
    await open();
    const before = (await figures()).bulkhead.options;
    await save(bad);
    await until(() => logged.length > 0);
    expect(logged[0]).toMatch(/^Nothing has changed: /);
    expect((await figures()).bulkhead.options).toEqual(before);
    await save({ ...OPTIONS, bulkheads: { supplier: { maxConcurrent: 7 } } });
    await until(async () => (await figures()).bulkhead.options.maxConcurrent === 7);
  });

  it('does not start with a bad one', async () => {
    await open();
    await app.close();
    await save({ ...OPTIONS, bulkheads: { supplier: { maxConcurrent: 0 } } });
    await expect(open()).rejects.toThrow(ResilienceConfigError);
  });
});
