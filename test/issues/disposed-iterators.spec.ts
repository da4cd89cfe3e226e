/** An async generator can be disposed of (`await using`, from Node 24 on): under a policy as well. */
import 'reflect-metadata';
import { CircuitBreaker, CircuitProtected, bulkhead, pipeline } from 'nestjs-bulwark';

interface Disposable {
  [Symbol.asyncDispose](): PromiseLike<void>;
}
type Pages = AsyncGenerator<string> & Disposable;

let closed: string[];
beforeEach(() => (closed = []));

async function* pages(): AsyncGenerator<string> {
  try {
    yield 'one';
    yield 'two';
  } finally {
    await Promise.resolve();
    closed.push('source');
  }
}

describe('a protected iterator that is disposed of', () => {
  it('closes its source, gives its slot back, and is a success with the items that have come', async () => {
    const breaker = new CircuitBreaker('b');
    const slots = bulkhead({ maxConcurrent: 1 });
    const read = pipeline(breaker, slots).wrap(pages) as () => Pages;
    const reading = read();
    expect(await reading.next()).toEqual({ done: false, value: 'one' });
    expect(slots.snapshot().inUse).toBe(1);
    await reading[Symbol.asyncDispose]();
    expect(closed).toEqual(['source']);
    expect(await reading.next()).toEqual({ done: true, value: undefined });
    expect(slots.snapshot().inUse).toBe(0);
    expect(breaker.stats).toMatchObject({ totalCalls: 1, successfulCalls: 1, inFlight: 0 });
  });

  it('has not begun where nobody has read', async () => {
    const breaker = new CircuitBreaker('b');
    const reading = breaker.protect(pages)() as Pages;
    await reading[Symbol.asyncDispose]();
    expect(await reading.next()).toEqual({ done: true, value: undefined });
    expect([closed, breaker.stats.totalCalls]).toEqual([[], 0]);
  });

  it('rejects with what its source fails with as it is closed', async () => {
    const failing = new CircuitBreaker('b').protect(async function* () {
      try {
        yield 'one';
      } finally {
        await Promise.reject(new Error('not closed'));
      }
    });
    const reading = failing() as Pages;
    await reading.next();
    await expect(reading[Symbol.asyncDispose]()).rejects.toThrow('not closed');
  });

  it('is one also of a decorated method', async () => {
    class Catalog {
      @CircuitProtected()
      async *pages(): AsyncGenerator<string> {
        yield* pages();
      }
    }
    {
      await using reading = new Catalog().pages() as Pages;
      expect(await reading.next()).toEqual({ done: false, value: 'one' });
    }
    expect(closed).toEqual(['source']);
  });
});
