import 'reflect-metadata';
import type { Type } from '@nestjs/common';
import {
  type CircuitBreaker,
  CircuitBreakerError,
  CircuitProtected,
  Retry,
  RetryExhaustedError,
} from 'nestjs-bulwark';
import { Lab, down, settled } from '../support/lab.js';
import { closeAll, startUnder } from './support/applications.js';

let lab: Lab;
let breaker: CircuitBreaker;
let opened: number;
let closed: number;
let script: (opening: number) => (number | Error)[];
beforeEach(() => {
  lab = new Lab();
  opened = closed = 0;
  script = () => [1, 2, 3];
});
afterEach(closeAll);

/** Yields the numbers of the script and throws its errors; tells when it was opened and closed. */
async function* play(): AsyncGenerator<number, string> {
  opened++;
  try {
    for (const step of script(opened)) {
      if (step instanceof Error) throw step;
      yield step;
    }
    return 'done';
  } finally {
    closed++;
  }
}

class Rows {
  @CircuitProtected('rows')
  async *generator(): AsyncGenerator<number, string> {
    return yield* play();
  }
  @CircuitProtected('rows')
  declared(): AsyncIterable<number> {
    return { [Symbol.asyncIterator]: play };
  }
  @CircuitProtected('rows')
  undeclared() {
    return { [Symbol.asyncIterator]: play };
  }
  @Retry({ maxAttempts: 3 })
  @CircuitProtected('rows')
  async *retried(): AsyncGenerator<number, string> {
    return yield* play();
  }
}
const kinds = ['generator', 'declared', 'undeclared'] as const;

async function made<T>(type: Type<T>): Promise<T> {
  const { instance, ...rest } = await startUnder('rows', type, lab);
  breaker = rest.breaker;
  return instance;
}

async function read(rows: AsyncIterable<number>, most = Infinity): Promise<number[]> {
  const seen: number[] = [];
  for await (const row of rows) {
    seen.push(row);
    if (seen.length >= most) break;
  }
  return seen;
}
const counts = (): string => {
  const { successfulCalls, failedCalls, inFlight } = breaker.stats;
  return `${String(successfulCalls)} ok, ${String(failedCalls)} failed, ${String(inFlight)} in flight`;
};

describe.each(kinds)('R43: a method with an async iterable (%s)', (method) => {
  it('is one call from the first item to the end', async () => {
    const rows = await made(Rows);
    const iterator = rows[method]()[Symbol.asyncIterator]();
    expect(counts()).toBe('0 ok, 0 failed, 0 in flight');
    expect(await iterator.next()).toEqual({ done: false, value: 1 });
    expect(counts()).toBe('0 ok, 0 failed, 1 in flight');
    for (const value of [2, 3]) expect(await iterator.next()).toEqual({ done: false, value });
    expect(await iterator.next()).toEqual({ done: true, value: 'done' });
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    await lab.clock.runAll();
    expect(counts()).toBe('1 ok, 0 failed, 0 in flight');
  });

  it('gives every item to for await, call after call', async () => {
    const rows = await made(Rows);
    expect(await read(rows[method]())).toEqual([1, 2, 3]);
    expect(await read(rows[method]())).toEqual([1, 2, 3]);
    await lab.clock.runAll();
    expect(counts()).toBe('2 ok, 0 failed, 0 in flight');
  });

  it('may be empty', async () => {
    script = () => [];
    expect(await read((await made(Rows))[method]())).toEqual([]);
    await lab.clock.runAll();
    expect(counts()).toBe('1 ok, 0 failed, 0 in flight');
  });

  it.each([
    ['before the first item', [down], []],
    ['between the items', [1, down, 3], [1]],
  ])('an error %s is the same object and counts', async (_when, steps, items) => {
    script = () => steps;
    const seen: number[] = [];
    const rows = (await made(Rows))[method]();
    const reading = (async () => {
      for await (const row of rows) seen.push(row);
    })();
    await expect(reading).rejects.toBe(down);
    await lab.clock.runAll();
    expect(seen).toEqual(items);
    expect(counts()).toBe('0 ok, 1 failed, 0 in flight');
  });

  it('break after an item closes the source, gives the permit back and counts as a success', async () => {
    const rows = (await made(Rows))[method]();
    expect(await read(rows, 2)).toEqual([1, 2]);
    await lab.clock.runAll();
    expect(closed).toBe(1);
    expect(counts()).toBe('1 ok, 0 failed, 0 in flight');
  });

  it('return() before the first item never starts a call', async () => {
    const iterator = (await made(Rows))[method]()[Symbol.asyncIterator]();
    await iterator.return?.();
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    await lab.clock.runAll();
    expect(counts()).toBe('0 ok, 0 failed, 0 in flight');
  });

  it('a probe that is left gives its permit back', async () => {
    const rows = await made(Rows);
    script = () => [down];
    for (let each = 0; each < 2; each++) await settled(read(rows[method]()));
    lab.clock.jump(10_000);
    script = () => [1, 2, 3];
    for (let each = 0; each < 5; each++) await read(rows[method](), 1);
    for (let each = 0; each < 2; each++) await read(rows[method]());
    await lab.clock.runAll();
    expect(breaker.state).toBe('closed');
  });
});

describe('R43: an open circuit', () => {
  it('rejects the first item of an async generator, which is never begun', async () => {
    const rows = (await made(Rows)).generator();
    breaker.isolate();
    await expect(rows.next()).rejects.toBeInstanceOf(CircuitBreakerError);
    expect(opened).toBe(0);
  });

  it.each(['declared', 'undeclared'] as const)(
    'rejects the first item of an object (%s), once a call has shown the kind',
    async (method) => {
      const rows = await made(Rows);
      await read(rows[method]());
      breaker.isolate();
      await expect(read(rows[method]())).rejects.toBeInstanceOf(CircuitBreakerError);
      expect(opened).toBe(1);
    },
  );
});

describe('R43: a retry of an async iterable', () => {
  it('begins again while there is no item', async () => {
    script = (opening) => (opening < 2 ? [down] : [1, 2]);
    const rows = await made(Rows);
    expect(await lab.resultOf(read(rows.retried()))).toEqual([1, 2]);
    expect(opened).toBe(2);
    expect(counts()).toBe('1 ok, 1 failed, 0 in flight');
    expect(lab.clock.now()).toBe(100);
  });

  it('gives up with RetryExhaustedError', async () => {
    script = () => [down];
    const rows = await made(Rows);
    breaker.disable();
    expect(await lab.errorOf(read(rows.retried()))).toBeInstanceOf(RetryExhaustedError);
    expect(opened).toBe(3);
  });

  it('leaves later errors as they are', async () => {
    script = () => [1, down];
    const rows = await made(Rows);
    expect(await lab.errorOf(read(rows.retried()))).toBe(down);
    expect(opened).toBe(1);
  });

  it('is not waited for by a consumer who left', async () => {
    script = () => [down];
    const iterator = (await made(Rows)).retried();
    const first = settled(iterator.next());
    await lab.clock.advance(50);
    expect(lab.clock.pendingTimers).toBe(1);
    await iterator.return('left');
    expect(lab.clock.pendingTimers).toBe(0);
    await first;
    await lab.clock.advance(10_000);
    expect(opened).toBe(1);
  });
});
