import { inspect } from 'node:util';
import { Readable } from 'node:stream';
import { jest } from '@jest/globals';
import {
  AbortError,
  type BulkheadPolicy,
  CircuitBreaker,
  type Policy,
  type TimeLimitPolicy,
  TimeoutError,
  adaptiveLimit,
  bulkhead,
  clientThrottle,
  currentAttempt,
  currentSignal,
  fallback,
  hedge,
  pipeline,
  retry,
  timeLimit,
} from 'nestjs-bulwark/core';
import { settlePromises } from 'nestjs-bulwark/testing';
import { type Deferred, Lab, deferred, down, settled } from '../support/lab.js';
import {
  asyncAdapters,
  asyncIterableAdapter,
  asyncIteratorAdapter,
} from '../../lib/core/async-iterable/async-iterable.js';
import { Policy as PolicyBase } from '../../lib/core/policy.js';
import type { Layer, PolicySnapshot, Run } from '../../lib/core/policy.js';
import type { ResultAdapter } from '../../lib/core/result-kind.js';

let lab: Lab;
let breaker: CircuitBreaker;
beforeEach(() => {
  lab = new Lab();
  breaker = new CircuitBreaker('b', { failureThreshold: 2 }, { runtime: lab.runtime });
});

/** A breaker for which an abort is a failure, unless its own caller made it. */
const countingAborts = (): CircuitBreaker =>
  new CircuitBreaker(
    'b',
    { failureExceptions: AbortError, ignoreExceptions: [] },
    { runtime: lab.runtime },
  );

async function itemsOf(items: AsyncIterable<unknown>): Promise<unknown[]> {
  const seen: unknown[] = [];
  for await (const item of items) seen.push(item);
  return seen;
}

/** Numbers up to `to`; fails instead of giving `failAt`. */
async function* numbers(to: number, failAt?: number): AsyncGenerator<number, string> {
  for (let n = 1; n <= to; n++) {
    if (n === failAt) throw down;
    yield n;
  }
  return 'end';
}

describe('R43 the answer of a fallback', () => {
  it.each<[string, () => unknown, unknown[]]>([
    ['a stream as it is', () => numbers(3), [1, 2, 3]],
    ['an empty stream as it is', () => numbers(0), []],
    ['a Node stream as it is', () => Readable.from([1, 2]), [1, 2]],
    ['a web stream as it is', () => Readable.toWeb(Readable.from([1, 2])), [1, 2]],
    ['anything else as the only item', () => 'cached', ['cached']],
    ['a promise of it too', () => Promise.resolve('cached'), ['cached']],
    ['a list as the only item', () => [1, 2], [[1, 2]]],
    ['nothing as the only item', () => undefined, [undefined]],
  ])('is %s', async (_what, answer, items) => {
    const policy = fallback(answer, {}, { runtime: lab.runtime });
    expect(await itemsOf(policy.wrap(numbers)(3, 1))).toEqual(items);
    expect(policy.snapshot().calls).toEqual({ served: 1, failed: 0 });
  });

  it('knows the receiver and the arguments, in the first call of a function as in later ones', async () => {
    const service = {
      items: 'spare',
      list: fallback(
        function (this: { items: string }, _error, to: number) {
          return `${this.items} ${String(to)}`;
        },
        {},
        { runtime: lab.runtime },
      ).wrap((to: number) => numbers(to, 1)),
    };
    expect(await itemsOf(service.list(2))).toEqual(['spare 2']);
    expect(await itemsOf(service.list(3))).toEqual(['spare 3']);
  });

  it('does not come after an item: an answer cannot begin twice', async () => {
    const policy = fallback(() => 'cached', {}, { runtime: lab.runtime });
    const items = policy.wrap(numbers)(3, 2);
    expect(await items.next()).toEqual({ done: false, value: 1 });
    await expect(items.next()).rejects.toBe(down);
    await settlePromises();
    expect(policy.snapshot().calls).toEqual({ served: 0, failed: 0 });
  });

  it('fails with its own error, at its first item too', async () => {
    const policy = fallback(() => numbers(3, 1), {}, { runtime: lab.runtime });
    const items = policy.wrap(async function* () {
      yield await Promise.reject<number>(new Error('first'));
    })();
    await expect(items.next()).rejects.toBe(down);
    expect(policy.snapshot().calls).toEqual({ served: 0, failed: 1 });
  });
});

/** A layer that ends the call with an error of its own when it is told to. */
class Breakable extends PolicyBase implements Layer {
  readonly kind = 'breakable';
  readonly name = 'breakable';
  readonly options = {};
  readonly failures: unknown[] = [];
  readonly #end = deferred<never>();
  break(error: Error): void {
    this.#end.reject(error);
  }
  stages(): [Layer] {
    return [this];
  }
  link(next: Run): Run {
    return (...call) => Promise.race([this.#running(() => next(...call)), this.#end.promise]);
  }
  async #running(call: () => unknown): Promise<unknown> {
    try {
      return await call();
    } catch (error) {
      this.failures.push(error);
      throw error;
    }
  }
  snapshot(): PolicySnapshot {
    return { id: this.id, kind: this.kind, name: this.name, options: {} };
  }
}

describe('R43 an async iterator under a gate', () => {
  it('gives every item, and is one call from the first to the end', async () => {
    const guarded = breaker.protect(numbers);
    expect(await itemsOf(guarded(3))).toEqual([1, 2, 3]);
    await settlePromises();
    expect(breaker.stats).toMatchObject({ totalCalls: 1, successfulCalls: 1, inFlight: 0 });
  });

  it('gives the value that the generator returns', async () => {
    const items = breaker.protect(numbers)(1);
    expect(await items.next()).toEqual({ done: false, value: 1 });
    expect(await items.next()).toEqual({ done: true, value: 'end' });
    expect(await items.next()).toEqual({ done: true, value: undefined });
    const empty = breaker.protect(numbers)(0);
    expect(await empty.next()).toEqual({ done: true, value: 'end' });
    expect(await empty.next()).toEqual({ done: true, value: undefined });
    await settlePromises();
    expect(breaker.stats).toMatchObject({ successfulCalls: 2, inFlight: 0 });
  });

  it('does nothing before its first item is asked for', async () => {
    const work = jest.fn(numbers);
    breaker.protect(work);
    const items = breaker.protect(numbers)(1);
    await settlePromises();
    expect(breaker.stats.totalCalls).toBe(0);
    expect(await items.return('unused')).toEqual({ done: true, value: 'unused' });
    expect(await items.next()).toEqual({ done: true, value: undefined });
    expect(breaker.stats.totalCalls).toBe(0);
  });

  it.each([1, 3])('fails with the very error, at item %d, and counts once', async (failAt) => {
    const items = breaker.protect(numbers)(3, failAt);
    for (let n = 1; n < failAt; n++) await items.next();
    await expect(items.next()).rejects.toBe(down);
    expect(await items.next()).toEqual({ done: true, value: undefined });
    await settlePromises();
    expect(breaker.stats).toMatchObject({ totalCalls: 1, failedCalls: 1, inFlight: 0 });
    expect(await items.next()).toEqual({ done: true, value: undefined });
  });

  it('is refused by the first item when the circuit is open', async () => {
    breaker.isolate();
    const items = breaker.protect(numbers)(3);
    await expect(items.next()).rejects.toMatchObject({ code: 'CIRCUIT_OPEN' });
    expect(await items.next()).toEqual({ done: true, value: undefined });
  });

  it('left after an item gives its permit back, counts as a success, and closes the source', async () => {
    const closed = jest.fn();
    const guarded = breaker.protect(async function* () {
      try {
        yield* numbers(9);
      } finally {
        closed();
      }
    });
    for await (const n of guarded()) if (n === 2) break;
    await settlePromises();
    expect(closed).toHaveBeenCalledTimes(1);
    expect(breaker.stats).toMatchObject({ successfulCalls: 1, failedCalls: 0, inFlight: 0 });
  });

  it('calls others within its own call, and they have attempts of their own', async () => {
    const inner = retry({ jitter: 0 }, { runtime: lab.runtime });
    const guarded = timeLimit(1000, { runtime: lab.runtime }).wrap(async function* () {
      yield 'first';
      yield await inner.execute(({ attempt, remainingTime }) => {
        if (attempt === 1) throw down;
        return [attempt, remainingTime];
      });
    });
    expect(await lab.resultOf(itemsOf(guarded()))).toEqual(['first', [2, 900]]);
  });

  it('left early tells its work so', async () => {
    let signal: AbortSignal | undefined;
    const guarded = breaker.protect(async function* () {
      signal = currentSignal();
      yield* numbers(9);
    });
    for await (const n of guarded()) if (n === 2) break;
    expect(signal?.reason).toEqual(new AbortError('The iteration was ended early'));
  });

  it('left before its first item ends as given up, though that comes later', async () => {
    const first = deferred<number>();
    const closed = jest.fn();
    const guarded = breaker.protect(async function* () {
      try {
        yield await first.promise;
      } finally {
        closed();
      }
    });
    const items = guarded();
    const read = settled(items.next());
    await items.return(undefined);
    first.resolve(1);
    await settlePromises();
    expect(await read).toEqual({
      error: new AbortError('The iteration was ended early'),
    });
    expect(closed).toHaveBeenCalledTimes(1);
    expect(breaker.stats).toMatchObject({ ignoredCalls: 1, inFlight: 0 });
  });

  it('left before its first item tells for or against nothing, also where an abort counts', async () => {
    const first = deferred<number>();
    const strict = countingAborts();
    const items = strict.protect(async function* () {
      yield await first.promise;
    })();
    void settled(items.next());
    await items.return(undefined);
    first.resolve(1);
    await settlePromises();
    expect(strict.stats).toMatchObject({ ignoredCalls: 1, failedCalls: 0, inFlight: 0 });
  });

  it.each<[string, () => AsyncGenerator<number, number>, IteratorResult<number, number>]>([
    [
      'what the generator returns instead',
      async function* () {
        try {
          yield 1;
        } finally {
          return 7; // eslint-disable-line no-unsafe-finally
        }
      },
      { done: true, value: 7 },
    ],
    [
      'an item of its clean-up',
      async function* () {
        try {
          yield 1;
        } finally {
          yield 2;
        }
        return 3;
      },
      { done: false, value: 2 },
    ],
    [
      'its own value, where nothing is in the way of that',
      async function* () {
        yield 1;
        return 2;
      },
      { done: true, value: 5 },
    ],
  ])('left early gives %s', async (_what, work, last) => {
    const items = breaker.protect(work)();
    await items.next();
    expect(await items.return(5)).toEqual(last);
    expect(await items.next()).toEqual({ done: true, value: undefined });
    await settlePromises();
    expect(breaker.stats).toMatchObject({ successfulCalls: 1, inFlight: 0 });
  });

  it('takes a function for an item where it has the looks of one, as for await does', async () => {
    const results = [Object.assign(() => undefined, { done: false, value: 1 }), { done: true }];
    const odd = (): AsyncIterable<number> => ({
      [Symbol.asyncIterator]: () => ({ next: async () => results.shift() as never }),
    });
    expect(await itemsOf(breaker.protect(odd)())).toEqual([1]);
  });

  it('answers a read under way when its consumer leaves, though the source hangs', async () => {
    const items = breaker.protect(async function* () {
      yield 1;
      await new Promise(() => undefined);
    })();
    await items.next();
    const read = items.next();
    await settlePromises();
    void items.return(undefined);
    expect(await read).toEqual({ done: true, value: undefined });
  });

  it('closes its source once when a limit around it has come', async () => {
    const closed = jest.fn(async () => ({ done: true, value: undefined }) as const);
    const next = async () => ({ done: false, value: 1 }) as const;
    const policy = timeLimit(100, { runtime: lab.runtime });
    const iterator = { next, return: closed };
    const source = policy.wrap(() => ({ [Symbol.asyncIterator]: () => iterator }))();
    const items = source[Symbol.asyncIterator]();
    await items.next();
    await lab.clock.advance(200);
    expect(closed).toHaveBeenCalledTimes(1);
  });

  it.each([
    [0, undefined],
    [1, undefined],
    [1, null],
  ])('fails where its source gives no item after %d of them, but %p', async (good, bad) => {
    const results = [...Array<unknown>(good).fill({ done: false, value: 1 }), bad];
    const broken = (): AsyncIterable<number> => ({
      [Symbol.asyncIterator]: () => ({ next: async () => results.shift() as never }),
    });
    const items = breaker.protect(broken)()[Symbol.asyncIterator]();
    for (let read = 0; read < good; read++) await items.next();
    expect(await settled(items.next())).toEqual({
      error: new TypeError(`Iterator result ${String(bad)} is not an object`),
    });
    await settlePromises();
    expect(breaker.stats).toMatchObject({ failedCalls: 1, inFlight: 0 });
  });

  it('needs no more of its source than a next', async () => {
    const bare = (): AsyncIterable<number> => ({
      [Symbol.asyncIterator]: () => ({ next: () => Promise.resolve({ done: false, value: 1 }) }),
    });
    const guarded = breaker.protect(async function* () {
      yield* numbers(0);
    } as () => AsyncIterable<number>);
    expect(await itemsOf(guarded())).toEqual([]);
    const policy = retry({}, { runtime: lab.runtime });
    for await (const n of policy.wrap(bare)()) {
      expect(n).toBe(1);
      break;
    }
    const thrownInto = policy.wrap(bare)()[Symbol.asyncIterator]();
    await thrownInto.next();
    await expect(thrownInto.throw?.(down)).rejects.toBe(down);
  });

  it.each([
    ['a Node stream', Readable.from([1])],
    ['a web stream', new Response('body').body],
  ])('is not made of %s, which can do more: it stays what it is', (_what, stream) => {
    const guarded = breaker.protect(() => stream);
    for (let call = 1; call <= 2; call++) expect(guarded()).toBe(stream);
    expect(breaker.stats).toMatchObject({ totalCalls: 2, successfulCalls: 2 });
  });

  it.each<[string, unknown, ResultAdapter | undefined]>([
    ['a generator', numbers(1), asyncIteratorAdapter],
    ['what only makes iterators', { [Symbol.asyncIterator]: numbers }, asyncIterableAdapter],
    ['what can be awaited', Object.assign(numbers(1), { then: () => undefined }), undefined],
    ['what can be iterated at once', [1], undefined],
    ['nothing', null, undefined],
    ['a text', 'text', undefined],
  ])('%s is taken for what it is', (_what, value, kind) => {
    expect(asyncAdapters.filter((adapter) => adapter.recognises(value))).toEqual(
      kind === undefined ? [] : [kind],
    );
  });

  it('takes reads before their answers, in their order', async () => {
    const items = breaker.protect(numbers)(2);
    const reads = [items.next(), items.next(), items.next(), items.next()];
    expect((await Promise.all(reads)).map(({ value }) => value as unknown)).toEqual([
      1,
      2,
      'end',
      undefined,
    ]);
  });

  it('passes on what the consumer sends and throws', async () => {
    const guarded = breaker.protect(async function* (): AsyncGenerator<string, string, string> {
      let sent = yield 'first';
      try {
        sent = yield `got ${sent}`;
      } catch (error) {
        sent = yield `caught ${(error as Error).message}`;
      }
      return sent;
    });
    const items = guarded();
    await items.next();
    expect(await items.next('a')).toEqual({ done: false, value: 'got a' });
    expect(await items.throw(down)).toEqual({ done: false, value: 'caught down' });
    expect(await items.next('b')).toEqual({ done: true, value: 'b' });
  });

  it.each([
    ['before the first item', 0],
    ['in the middle', 1],
  ])('ends when the consumer throws into it %s', async (_when, reads) => {
    const items = breaker.protect(numbers)(3);
    for (let at = 0; at < reads; at++) await items.next();
    await expect(items.throw(down)).rejects.toBe(down);
    expect(await items.next()).toEqual({ done: true, value: undefined });
    await settlePromises();
    expect(breaker.stats.inFlight).toBe(0);
  });

  it('ends as its first read that ends it, whatever those after it bring', async () => {
    const items = breaker.protect(numbers)(3, 2);
    await items.next();
    const reads = [settled(items.next()), settled(items.next())];
    expect(await Promise.all(reads)).toEqual([
      { error: down },
      { value: { done: true, value: undefined } },
    ]);
    await settlePromises();
    expect(breaker.stats).toMatchObject({ failedCalls: 1, successfulCalls: 0, inFlight: 0 });
  });

  const wrapped = new Error('wrapped');
  it.each<[string, (error: unknown) => unknown, unknown, object]>([
    ['let through is as if it had left', (error) => error, down, { successfulCalls: 1 }],
    ['replaced by another is a failure', () => wrapped, wrapped, { failedCalls: 1 }],
  ])('what the consumer throws in and is %s', async (_how, answer, outcome, calls) => {
    const items = breaker.protect(async function* () {
      try {
        yield* numbers(3);
      } catch (error) {
        throw answer(error);
      }
    })();
    await items.next();
    await expect(items.throw(down)).rejects.toBe(outcome);
    expect(await items.next()).toEqual({ done: true, value: undefined });
    await settlePromises();
    expect(breaker.stats).toMatchObject({ totalCalls: 1, ...calls, inFlight: 0 });
  });

  it('can be used once for each call of the function', async () => {
    const guarded = breaker.protect(numbers);
    expect(await Promise.all([itemsOf(guarded(2)), itemsOf(guarded(1))])).toEqual([[1, 2], [1]]);
    await settlePromises();
    expect(breaker.stats.successfulCalls).toBe(2);
  });

  it('is known by its first call where the function does not show it', async () => {
    const opened = jest.fn((to: number) => numbers(to));
    const guarded = breaker.protect(opened as (to: number) => AsyncGenerator<number, string>);
    expect(await itemsOf(guarded(2))).toEqual([1, 2]);
    expect(await itemsOf(guarded(3))).toEqual([1, 2, 3]);
    await settlePromises();
    expect(opened).toHaveBeenCalledTimes(2);
    expect(breaker.stats).toMatchObject({ successfulCalls: 2, failedCalls: 0, inFlight: 0 });
  });

  it.each<[string, (anything: () => boolean) => Policy]>([
    [
      'breaker',
      (anything) =>
        new CircuitBreaker('b', { failureExceptions: anything, ignoreExceptions: TypeError }),
    ],
    ['client throttle', (rejectedBy) => clientThrottle({ rejectedBy })],
    ['adaptive limit', (dropOn) => adaptiveLimit({ dropOn })],
  ])(
    'is no failure when it shows itself, even where any error is one to the %s',
    async (_kind, make) => {
      const anything = jest.fn(() => true);
      const guarded = make(anything).wrap((to: number) => numbers(to));
      expect(await itemsOf(guarded(2))).toEqual([1, 2]);
      expect(anything).not.toHaveBeenCalled();
    },
  );

  it('is opened once for its first use, even where a retry takes any error', async () => {
    const opened = jest.fn((to: number) => numbers(to));
    const policy = retry({ retryOn: () => true }, { runtime: lab.runtime });
    expect(await itemsOf(policy.wrap(opened)(2))).toEqual([1, 2]);
    await lab.clock.runAll();
    expect(opened).toHaveBeenCalledTimes(1);
  });

  it("shows itself to a layer of one's own as an abort of the call that found it", async () => {
    const layer = new Breakable();
    expect(await itemsOf(layer.wrap((to: number) => numbers(to))(2))).toEqual([1, 2]);
    expect(layer.failures).toEqual([
      new AbortError('The call returned a stream; its subscriptions are the calls'),
    ]);
  });

  it('that can also be awaited is awaited', async () => {
    const query = Object.assign(Promise.resolve('rows'), { [Symbol.asyncIterator]: numbers });
    expect(await breaker.protect(() => query)()).toBe('rows');
  });
});

describe('R62 the slot of an iteration left early', () => {
  let slots: BulkheadPolicy;
  let cleanUp: Deferred;
  let signal: AbortSignal | undefined;
  beforeEach(() => {
    slots = bulkhead({ maxConcurrent: 1 }, { runtime: lab.runtime });
    cleanUp = deferred();
  });
  /** Ends with `cleanUp`; its first item comes with `ready`. */
  async function* rows(ready?: Promise<unknown>): AsyncGenerator<number> {
    signal = currentSignal();
    await ready;
    try {
      yield* [1, 2];
    } finally {
      await cleanUp.promise;
    }
  }
  const inUse = async (): Promise<number> => {
    await settlePromises();
    return slots.snapshot().inUse;
  };
  const underBreaker = (): AsyncGenerator<number> => pipeline(breaker, slots).wrap(rows)();

  it.each<[string, (clean: Deferred) => void, unknown]>([
    ['ended', ({ resolve }) => resolve(undefined), { value: { done: true, value: undefined } }],
    ['failed', ({ reject }) => reject(down), { error: down }],
  ])('is held until the clean-up of its source has %s', async (_how, end, outcome) => {
    const items = underBreaker();
    await items.next();
    const left = settled(items.return(undefined));
    expect(signal?.reason).toEqual(new AbortError('The iteration was ended early'));
    expect(await inUse()).toBe(1);
    expect(breaker.stats.inFlight).toBe(1);
    end(cleanUp);
    expect(await left).toEqual(outcome);
    expect(await inUse()).toBe(0);
    expect(breaker.stats).toMatchObject({ successfulCalls: 1, failedCalls: 0, inFlight: 0 });
  });

  it('is held as long where the first item comes after that', async () => {
    const ready = deferred();
    const items = pipeline(breaker, slots).wrap(rows)(ready.promise);
    const read = settled(items.next());
    await items.return(undefined);
    expect(signal?.aborted).toBe(true);
    ready.resolve(undefined);
    expect(await inUse()).toBe(1);
    cleanUp.resolve(undefined);
    expect(await inUse()).toBe(0);
    expect(await read).toHaveProperty('error.name', 'AbortError');
    expect(breaker.stats).toMatchObject({ ignoredCalls: 1, failedCalls: 0, inFlight: 0 });
  });

  it.each<[string, (limit: Policy) => Policy]>([
    ['around', (limit) => pipeline(limit, slots)],
    ['inside', (limit) => pipeline(slots, limit)],
  ])('is held past a time limit %s, which releases the consumer', async (_where, join) => {
    const limit = timeLimit(100, { runtime: lab.runtime });
    const items = join(limit).wrap(rows)();
    await items.next();
    const left = settled(items.return(undefined));
    await lab.clock.advance(100);
    expect(await left).toEqual({ error: expect.any(TimeoutError) });
    expect(await inUse()).toBe(1);
    cleanUp.resolve(undefined);
    expect(await inUse()).toBe(0);
    expect(limit.snapshot()).toMatchObject({ calls: { timed_out: 1 }, late: { successes: 1 } });
  });

  it('was taken by a success, though the abort fails the read under way', async () => {
    const items = pipeline(breaker, slots).wrap(async function* () {
      yield 1;
      const aborted = currentSignal();
      await new Promise((_resolve, reject) => {
        aborted?.addEventListener('abort', () => reject(down));
      });
    })();
    await items.next();
    const read = settled(items.next());
    await settlePromises();
    await items.return(undefined);
    expect(await read).toEqual({ value: { done: true, value: undefined } });
    expect(await inUse()).toBe(0);
    expect(breaker.stats).toMatchObject({ successfulCalls: 1, failedCalls: 0, inFlight: 0 });
  });

  it('is held by the first return: another one does not wait', async () => {
    const items = underBreaker();
    await items.next();
    const left = items.return(undefined);
    expect(await items.return('again')).toEqual({ done: true, value: 'again' });
    expect(await inUse()).toBe(1);
    cleanUp.resolve(undefined);
    await left;
    expect(await inUse()).toBe(0);
  });

  it('is held by the clean-up where the source takes no error of its consumer', async () => {
    const guarded = slots.wrap(() => {
      const source = rows();
      const steps = { next: () => source.next(), return: () => source.return(undefined) };
      return { [Symbol.asyncIterator]: (): AsyncIterator<number> => steps };
    });
    const items = guarded()[Symbol.asyncIterator]();
    await items.next();
    const thrown = settled(Promise.resolve(items.throw?.(down)));
    expect(await inUse()).toBe(1);
    cleanUp.reject(new Error('not told'));
    expect(await thrown).toEqual({ error: down });
    expect(await inUse()).toBe(0);
  });
});

describe('R43 an async iterable that is no iterator', () => {
  const opened = jest.fn();
  /** Numbers up to `to`, as often as it is iterated. */
  function range(to: number): AsyncIterable<number> {
    opened();
    return { [Symbol.asyncIterator]: () => numbers(to) };
  }
  beforeEach(() => opened.mockReset());

  it('can be read as often as one likes: each iteration is one call', async () => {
    const items = breaker.protect(range)(2);
    for (let call = 1; call <= 3; call++) {
      expect(await itemsOf(items)).toEqual([1, 2]);
      await settlePromises();
      expect(breaker.stats).toMatchObject({ successfulCalls: call, inFlight: 0 });
      expect(opened).toHaveBeenCalledTimes(call);
    }
  });

  it('can be read twice at once', async () => {
    const items = breaker.protect(range)(2);
    const [one, other] = [items[Symbol.asyncIterator](), items[Symbol.asyncIterator]()];
    for (const value of [1, 2]) {
      expect(await one.next()).toEqual({ done: false, value });
      expect(await other.next()).toEqual({ done: false, value });
    }
  });

  it('is known by the first call: later ones open nothing before an iteration', async () => {
    const guarded = breaker.protect(range);
    guarded(1);
    expect(opened).toHaveBeenCalledTimes(1);
    const items = guarded(3);
    expect(opened).toHaveBeenCalledTimes(1);
    for (let call = 2; call <= 3; call++) {
      expect(await itemsOf(items)).toEqual([1, 2, 3]);
      expect(opened).toHaveBeenCalledTimes(call);
    }
  });

  it('is tried again by each iteration until it has an item', async () => {
    let failures = 1;
    const guarded = retry({}, { runtime: lab.runtime }).wrap((to: number) => {
      const failAt = failures-- > 0 ? 1 : undefined;
      return { [Symbol.asyncIterator]: () => numbers(to, failAt) };
    });
    const items = guarded(1);
    expect(await lab.resultOf(itemsOf(items))).toEqual([1]);
    failures = 2;
    expect(await lab.resultOf(itemsOf(items))).toEqual([1]);
    expect(failures).toBe(-1);
  });

  it('stays one under more than one wrapper', async () => {
    const outer = retry({}, { runtime: lab.runtime });
    const items = outer.wrap(breaker.protect(range))(2);
    expect(await itemsOf(items)).toEqual([1, 2]);
    expect(await itemsOf(items)).toEqual([1, 2]);
    await settlePromises();
    expect(breaker.stats).toMatchObject({ successfulCalls: 2, inFlight: 0 });
  });
});

describe('R43 sources by hand', () => {
  const source = (steps: Partial<AsyncIterator<number>>): (() => AsyncIterable<number>) => {
    const iterator = {
      next: () => Promise.resolve({ done: false as const, value: 1 }),
      ...steps,
    };
    return () => ({ [Symbol.asyncIterator]: () => iterator });
  };

  it.each<[string, Partial<AsyncIterator<number>>, unknown]>([
    ['without return', {}, { value: { done: true, value: 5 } }],
    [
      'with a return that throws',
      {
        return: () => {
          throw down;
        },
      },
      { error: down },
    ],
    ['with a return that rejects', { return: () => Promise.reject(down) }, { error: down }],
    [
      'with a return that gives no promise',
      { return: () => ({ done: true, value: 0 }) as never },
      { value: { done: true, value: 0 } },
    ],
    [
      'with a return that gives nothing',
      { return: () => Promise.resolve(undefined as never) },
      { value: { done: true, value: 5 } },
    ],
  ])('%s give the permit back all the same', async (_what, steps, outcome) => {
    const items = breaker.protect(source(steps))()[Symbol.asyncIterator]();
    await items.next();
    expect(await settled(Promise.resolve(items.return?.(5)))).toEqual(outcome);
    await settlePromises();
    expect(breaker.stats).toMatchObject({ failedCalls: 0, successfulCalls: 1, inFlight: 0 });
  });

  it('whose later next throws at once fail the call', async () => {
    let reads = 0;
    const next = (): Promise<IteratorResult<number>> => {
      if (++reads > 1) throw down;
      return Promise.resolve({ done: false, value: 1 });
    };
    const items = breaker.protect(source({ next }))()[Symbol.asyncIterator]();
    await items.next();
    await expect(items.next()).rejects.toBe(down);
    await settlePromises();
    expect(breaker.stats).toMatchObject({ failedCalls: 1, inFlight: 0 });
  });

  it('whose next gives no promise work as they do in a for-await loop', async () => {
    let n = 0;
    const next = (): never => ({ done: ++n > 3, value: n }) as never;
    expect(await itemsOf(breaker.protect(source({ next }))())).toEqual([1, 2, 3]);
  });

  it('whose iterator cannot be had fail the first read', async () => {
    const broken = {
      [Symbol.asyncIterator](): never {
        throw down;
      },
    };
    const items = breaker.protect(() => broken as AsyncIterable<number>)();
    await expect(itemsOf(items)).rejects.toBe(down);
    expect(breaker.stats).toMatchObject({ failedCalls: 1, inFlight: 0 });
  });
});

describe('R43 an async iterator under a retry', () => {
  const retrying = (): Policy => retry({}, { runtime: lab.runtime });

  it('starts again until the first item has come', async () => {
    let opened = 0;
    const guarded = retrying().wrap(async function* () {
      if (++opened < 3) throw down;
      yield opened;
    });
    expect(await lab.resultOf(itemsOf(guarded()))).toEqual([3]);
  });

  it('never after it: later errors are the original ones', async () => {
    const opened = jest.fn();
    const guarded = retrying().wrap(async function* () {
      opened();
      yield 1;
      throw down;
    });
    expect(await lab.errorOf(itemsOf(guarded()))).toBe(down);
    expect(opened).toHaveBeenCalledTimes(1);
  });

  it('nor for what the generator returns', async () => {
    const opened = jest.fn();
    const policy = retry({ retryOnResult: () => true }, { runtime: lab.runtime });
    const guarded = policy.wrap(async function* () {
      opened();
      yield* numbers(2);
    });
    expect(await lab.resultOf(itemsOf(guarded()))).toEqual([1, 2]);
    await lab.clock.runAll();
    expect(opened).toHaveBeenCalledTimes(1);
    expect(policy.snapshot().calls).toMatchObject({ not_retryable: 1, aborted: 0 });
  });

  it('but for a result of none: what has no items is tried again', async () => {
    const opened = jest.fn(() => numbers(opened.mock.calls.length - 1));
    const policy = retry(
      { retryOnResult: (end: unknown) => end === 'end' },
      { runtime: lab.runtime },
    );
    const guarded = policy.wrap(async function* () {
      return yield* opened();
    });
    expect(await lab.resultOf(itemsOf(guarded()))).toEqual([1]);
    expect(opened).toHaveBeenCalledTimes(2);
  });

  it('tells when no attempt came to an item', async () => {
    const guarded = retrying().wrap(() => numbers(3, 1));
    expect(await lab.errorOf(itemsOf(guarded()))).toMatchObject({
      code: 'RETRY_EXHAUSTED',
      attempts: 3,
      cause: down,
    });
  });

  it('left during the wait is not started again', async () => {
    const opened = jest.fn();
    // eslint-disable-next-line require-yield
    const guarded = retrying().wrap(async function* (): AsyncGenerator<number> {
      opened();
      throw down;
    });
    const items = guarded();
    const read = settled(items.next());
    await lab.clock.advance(10);
    await items.return(undefined);
    expect(await read).toMatchObject({ error: { name: 'AbortError' } });
    await lab.clock.runAll();
    expect(opened).toHaveBeenCalledTimes(1);
    expect(lab.clock.pendingTimers).toBe(0);
  });
});

describe('R43 an async iterator under a hedge', () => {
  /** The sources of the tries: each gives its own number when its gate opens, and once more. */
  function tries(): {
    gates: Deferred[];
    signals: (AbortSignal | undefined)[];
    read: () => AsyncGenerator<number>;
  } {
    const gates = [deferred(), deferred()];
    const signals: (AbortSignal | undefined)[] = [];
    return {
      gates,
      signals,
      async *read() {
        const number = signals.push(currentSignal());
        await gates[number - 1]?.promise;
        yield number;
        yield number;
      },
    };
  }
  const hedged = (...inside: Policy[]): Policy =>
    pipeline(hedge({ delay: 10 }, { runtime: lab.runtime }), ...inside);

  it('tells the other try as soon as an item has come; it ends, for nothing or against, when its source does', async () => {
    const strict = countingAborts();
    const slots = bulkhead({ maxConcurrent: 5 }, { runtime: lab.runtime });
    const { gates, signals, read } = tries();
    const items = hedged(strict, slots).wrap(read)();
    const first = items.next();
    await lab.clock.advance(10);
    gates[1]?.resolve(undefined);
    expect(await first).toEqual({ done: false, value: 2 });
    expect(signals.map((signal) => signal?.aborted)).toEqual([true, false]);
    await settlePromises();
    expect(slots.snapshot().inUse).toBe(2);
    expect(strict.stats).toMatchObject({ inFlight: 2, ignoredCalls: 0 });
    gates[0]?.resolve(undefined);
    await settlePromises();
    expect(slots.snapshot().inUse).toBe(1);
    expect(strict.stats).toMatchObject({ inFlight: 1, ignoredCalls: 1, failedCalls: 0 });
    expect(await itemsOf(items)).toEqual([2]);
    await settlePromises();
    expect(slots.snapshot().inUse).toBe(0);
    expect(strict.stats).toMatchObject({ inFlight: 0, successfulCalls: 1 });
  });

  it('binds what a losing try calls by its abort', async () => {
    const called = jest.fn(() => Promise.reject<number>(down));
    const inner = retry({}, { runtime: lab.runtime });
    const gate = deferred();
    let number = 0;
    const items = hedged().wrap(async function* () {
      if (++number === 1) {
        await gate.promise;
        yield inner.execute(called);
      }
      yield number;
    })();
    const first = items.next();
    await lab.clock.advance(10);
    await first;
    gate.resolve(undefined);
    await lab.clock.runAll();
    expect(called).toHaveBeenCalledTimes(1);
  });

  it('takes a try out of a queue as soon as another has an item', async () => {
    const slots = bulkhead({ maxConcurrent: 1, maxQueue: 1 }, { runtime: lab.runtime });
    const { gates, signals, read } = tries();
    const items = hedged(slots).wrap(read)();
    const first = items.next();
    await lab.clock.advance(10);
    expect(slots.snapshot().queued).toBe(1);
    gates[0]?.resolve(undefined);
    await first;
    expect(slots.snapshot().queued).toBe(0);
    expect(await itemsOf(items)).toEqual([1]);
    expect(signals).toHaveLength(1);
  });

  it('fails as the try that is read, though the work of the other goes on', async () => {
    const outer = bulkhead({ maxConcurrent: 5 }, { runtime: lab.runtime });
    const { gates, read } = tries();
    const items = pipeline(outer, breaker, hedged()).wrap(async function* () {
      for await (const item of read()) {
        yield item;
        throw down;
      }
    })();
    const first = items.next();
    await lab.clock.advance(10);
    gates[1]?.resolve(undefined);
    await first;
    await expect(items.next()).rejects.toBe(down);
    await settlePromises();
    expect(breaker.stats).toMatchObject({ failedCalls: 1, lastFailure: down, inFlight: 0 });
    expect(outer.snapshot().inUse).toBe(1);
    gates[0]?.resolve(undefined);
    await settlePromises();
    expect(outer.snapshot().inUse).toBe(0);
  });

  it('does not end as a losing try that runs out of time', async () => {
    const { gates, read } = tries();
    const policy = hedged(timeLimit(100, { runtime: lab.runtime }));
    const items = policy.wrap(read)();
    const first = items.next();
    await lab.clock.advance(50);
    gates[1]?.resolve(undefined);
    await first;
    await lab.clock.advance(50);
    expect(await itemsOf(items)).toEqual([2]);
  });

  it('is not cut short by a try that came to an end without items in the same instant', async () => {
    const results = [
      { done: true as const, value: undefined },
      { done: false as const, value: 1 },
    ];
    const gate = deferred();
    const guarded = hedged().wrap(() => {
      const result = results.shift();
      const next = (): Promise<IteratorResult<number>> => gate.promise.then(() => result as never);
      return { [Symbol.asyncIterator]: () => ({ next }) };
    });
    const items = guarded()[Symbol.asyncIterator]();
    const first = items.next();
    await lab.clock.advance(10);
    gate.resolve(undefined);
    expect(await first).toEqual({ done: false, value: 1 });
    await settlePromises();
    expect(await items.next()).toEqual({ done: false, value: 1 });
  });

  it('has each try tried again inside it until there is an item, and never after it', async () => {
    const again = retry({ maxAttempts: 3, baseDelay: 1, jitter: 0 }, { runtime: lab.runtime });
    const opened: number[] = [];
    const items = hedged(again).wrap(async function* () {
      if (opened.push(currentAttempt() ?? 0) === 1) throw down;
      yield 'item';
      throw down;
    })();
    const first = items.next();
    await lab.clock.advance(1);
    expect(await first).toEqual({ done: false, value: 'item' });
    expect(await lab.errorOf(items.next())).toBe(down);
    expect(opened).toEqual([1, 2]);
  });

  it('counts, and holds what stands around it, until the try that is read has ended', async () => {
    const slots = bulkhead({ maxConcurrent: 5 }, { runtime: lab.runtime });
    const policy = hedge({ delay: 10 }, { runtime: lab.runtime });
    const items = pipeline(slots, policy).wrap(numbers)(2);
    expect(await items.next()).toEqual({ done: false, value: 1 });
    expect(slots.snapshot().inUse).toBe(1);
    expect(await itemsOf(items)).toEqual([2]);
    await settlePromises();
    expect(slots.snapshot().inUse).toBe(0);
    expect(policy.snapshot().calls).toEqual({ original: 1, hedge: 0, none: 0 });
  });

  it('gives the items of a fallback inside it', async () => {
    const spare = fallback(() => numbers(2), {}, { runtime: lab.runtime });
    const items = hedged(spare).wrap(() => numbers(2, 1))();
    expect(await itemsOf(items)).toEqual([1, 2]);
  });

  it('starts no try of a hedge inside another one once an item has come', async () => {
    const opened = jest.fn();
    const items = hedged(hedge({ delay: 20 }, { runtime: lab.runtime })).wrap(async function* () {
      opened();
      yield 1;
      await deferred().promise;
    })();
    expect(await items.next()).toEqual({ done: false, value: 1 });
    await lab.clock.advance(100);
    expect(opened).toHaveBeenCalledTimes(1);
  });

  it('R45: closes the source of a losing try in the context of that try', async () => {
    const closedIn: boolean[] = [];
    let number = 0;
    const items = hedged().wrap(() => ({
      [Symbol.asyncIterator](): AsyncIterator<number> {
        const own = currentSignal();
        const first = ++number === 1 ? deferred<never>().promise : Promise.resolve(number);
        return {
          next: async () => ({ done: false, value: await first }),
          return: () => {
            closedIn.push(currentSignal() === own && own?.aborted === true);
            return Promise.resolve({ done: true, value: undefined });
          },
        };
      },
    }))();
    const first = items[Symbol.asyncIterator]().next();
    await lab.clock.advance(10);
    await first;
    await settlePromises();
    expect(closedIn).toEqual([true]);
  });
});

describe('R62 an iteration that runs out of time', () => {
  let slots: BulkheadPolicy;
  let limit: TimeLimitPolicy;
  let gate: Deferred;
  beforeEach(() => {
    slots = bulkhead({ maxConcurrent: 5 }, { runtime: lab.runtime });
    limit = timeLimit(100, { runtime: lab.runtime });
    gate = deferred();
  });

  it.each([0, 1])('after %d items has ended when its work has', async (before) => {
    const called = jest.fn(() => Promise.reject<number>(down));
    const inner = retry({}, { runtime: lab.runtime });
    const items = pipeline(slots, limit, breaker).wrap(async function* () {
      yield* numbers(before);
      await gate.promise;
      await settled(inner.execute(called));
      yield before + 1;
    })();
    for (let n = 0; n < before; n++) await items.next();
    const read = settled(items.next());
    await lab.clock.advance(100);
    const error = expect.any(TimeoutError) as unknown;
    expect(await read).toEqual({ error });
    expect(limit.snapshot()).toMatchObject({ abandoned: 1 });
    expect(slots.snapshot().inUse).toBe(1);
    expect(breaker.stats).toMatchObject({ failedCalls: 0, inFlight: 1 });
    gate.resolve(undefined);
    await lab.clock.runAll();
    expect(called).toHaveBeenCalledTimes(1);
    expect(limit.snapshot()).toMatchObject({ abandoned: 0, late: { failures: 1 } });
    expect(slots.snapshot().inUse).toBe(0);
    expect(breaker.stats).toMatchObject({ failedCalls: 1, lastFailure: error, inFlight: 0 });
  });

  it('between two reads closes its source inside its call, and holds its slot until then', async () => {
    let seen: unknown;
    const items = pipeline(slots, limit).wrap(async function* () {
      try {
        yield* numbers(2);
      } finally {
        seen = [currentSignal()?.aborted, currentAttempt()];
        await gate.promise;
      }
    })();
    await items.next();
    await lab.clock.advance(100);
    expect(seen).toEqual([true, 1]);
    expect(slots.snapshot().inUse).toBe(1);
    gate.resolve(undefined);
    await settlePromises();
    expect(slots.snapshot().inUse).toBe(0);
    await expect(items.next()).rejects.toBeInstanceOf(TimeoutError);
    expect(await items.next()).toEqual({ done: true, value: undefined });
  });

  it.each<[string, (items: AsyncGenerator) => Promise<unknown>]>([
    ['next', (items) => items.next()],
    ['throw', (items) => items.throw(down)],
    ['return', (items) => items.return(undefined)],
  ])('tells so to a %s in the same instant', async (_step, step) => {
    let told: Promise<unknown> | undefined;
    const items = limit.wrap(async function* () {
      const tell = (): void => void (told = settled(step(items)));
      currentSignal()?.addEventListener('abort', tell);
      yield* numbers(3);
    })();
    await items.next();
    await lab.clock.advance(100);
    expect(await told).toEqual({ error: expect.any(TimeoutError) });
  });

  it('asks nothing more of the source that it closes, in the same instant either', async () => {
    const asked: string[] = [];
    const guarded = limit.wrap(() => ({
      [Symbol.asyncIterator](): AsyncIterator<number> {
        currentSignal()?.addEventListener('abort', () => void settled(items.next()));
        const step = (name: string) => (): Promise<IteratorResult<number>> => {
          asked.push(name);
          return Promise.resolve({ done: false, value: 1 });
        };
        return { next: step('next'), return: step('return') };
      },
    }));
    const items = guarded()[Symbol.asyncIterator]();
    await items.next();
    await lab.clock.advance(100);
    expect(asked).toEqual(['next', 'return']);
  });

  it('gives nothing more, however its source takes the abort', async () => {
    const items = limit.wrap(async function* () {
      yield 1;
      const signal = currentSignal();
      await new Promise((_resolve, reject) =>
        signal?.addEventListener('abort', () => reject(down)),
      );
    })();
    await items.next();
    const read = settled(items.next());
    await lab.clock.advance(100);
    expect(await read).toEqual({ error: expect.any(TimeoutError) });
  });
});

describe('R43 an iteration that a layer ends', () => {
  const closed = jest.fn();
  async function* slow(pause: Promise<unknown>): AsyncGenerator<number> {
    try {
      yield 1;
      await pause;
      yield 2;
      yield 3;
    } finally {
      closed();
    }
  }
  beforeEach(() => closed.mockReset());

  it('between two reads tells the next read, and closes the source', async () => {
    const layer = new Breakable();
    const items = layer.wrap(slow)(Promise.resolve());
    await items.next();
    layer.break(down);
    await settlePromises();
    expect(closed).toHaveBeenCalledTimes(1);
    await expect(items.next()).rejects.toBe(down);
    expect(await items.next()).toEqual({ done: true, value: undefined });
  });

  it('during a read ends that read, and closes the source when it can be', async () => {
    const layer = new Breakable();
    const pause = deferred();
    const items = layer.wrap(slow)(pause.promise);
    await items.next();
    const read = settled(items.next());
    await settlePromises();
    layer.break(down);
    expect(await read).toEqual({ error: down });
    expect(await items.next()).toEqual({ done: true, value: undefined });
    pause.resolve(undefined);
    await settlePromises();
    expect(closed).toHaveBeenCalledTimes(1);
  });

  it('around the call in which it is read ends it with that call', async () => {
    let read: Promise<unknown> | undefined;
    const pause = deferred();
    const outer = timeLimit(100, { runtime: lab.runtime }).execute(async () => {
      const items = breaker.protect(slow)(pause.promise);
      await items.next();
      await (read = settled(items.next()));
    });
    const error = await lab.errorOf(outer);
    expect(error).toBeInstanceOf(TimeoutError);
    expect(await read).toEqual({ error });
    expect(breaker.stats).toMatchObject({ failedCalls: 0, inFlight: 1 });
    pause.resolve(undefined);
    await settlePromises();
    expect(closed).toHaveBeenCalledTimes(1);
    expect(breaker.stats).toMatchObject({ failedCalls: 1, lastFailure: error, inFlight: 0 });
  });

  it('around the call in which it is read, and which has ended before the source is open, closes it', async () => {
    const caller = new AbortController();
    const reason = new Error('left');
    const guarded = breaker.protect(() => ({
      [Symbol.asyncIterator](): AsyncIterator<number> {
        caller.abort(reason);
        return slow(Promise.resolve());
      },
    }));
    let read: Promise<unknown> | undefined;
    const outer = breaker.execute(
      () => (read = settled(guarded()[Symbol.asyncIterator]().next())),
      { signal: caller.signal },
    );
    expect(await settled(outer)).toEqual({ error: reason });
    expect(await read).toEqual({ error: reason });
    await settlePromises();
    expect(closed).toHaveBeenCalledTimes(1);
    expect(breaker.stats).toMatchObject({ failedCalls: 0, inFlight: 0 });
  });

  it('around the call in which it is read tells the next read', async () => {
    const layer = timeLimit(100, { runtime: lab.runtime });
    let items: AsyncGenerator<number> | undefined;
    const outer = layer.execute(async () => {
      items = breaker.protect(slow)(Promise.resolve());
      await items.next();
      await deferred().promise;
    });
    const error = await lab.errorOf(outer);
    expect(closed).toHaveBeenCalledTimes(1);
    await expect(items?.next()).rejects.toBe(error);
    expect(await items?.next()).toEqual({ done: true, value: undefined });
  });

  it('before the first item closes the source that comes too late', async () => {
    const layer = new Breakable();
    const pause = deferred();
    const items = layer.wrap(async function* () {
      await pause.promise;
      try {
        yield 1;
      } finally {
        closed();
      }
    })();
    const read = settled(items.next());
    await settlePromises();
    layer.break(down);
    expect(await read).toEqual({ error: down });
    pause.resolve(undefined);
    await settlePromises();
    expect(closed).toHaveBeenCalledTimes(1);
    expect(await items.next()).toEqual({ done: true, value: undefined });
  });

  it('before the first item closes a source that is opened after that', async () => {
    const layer = new Breakable();
    const again = retry({ baseDelay: 100, jitter: 0 }, { runtime: lab.runtime });
    let opened = 0;
    const items = pipeline(layer, again).wrap(async function* () {
      if (++opened === 1) throw down;
      try {
        yield* [1, 2];
      } finally {
        closed();
      }
    })();
    const read = settled(items.next());
    await settlePromises();
    layer.break(down);
    expect(await read).toEqual({ error: down });
    await lab.clock.advance(100);
    expect([opened, closed.mock.calls.length]).toEqual([2, 1]);
    expect(again.snapshot().calls).toMatchObject({ aborted: 1, recovered: 0 });
  });

  it('before the first item is over for what stands inside that layer too', async () => {
    const layer = new Breakable();
    const inside = countingAborts();
    const pause = deferred();
    const items = pipeline(layer, inside).wrap(async function* () {
      await pause.promise;
      yield 1;
    })();
    void settled(items.next());
    layer.break(down);
    await settlePromises();
    pause.resolve(undefined);
    await settlePromises();
    expect(inside.stats.lastFailure).toEqual(new AbortError('The iteration was ended early'));
  });
});

it('R42 a protected iteration shows as little of itself as the generator that it stands for', () => {
  const owner = {
    secret: 'hunter2',
    rows: retry().wrap(async function* (password: string) {
      yield password.length;
    }),
  };
  const rows = owner.rows('pass');
  expect(JSON.stringify({ rows })).toBe('{"rows":{}}');
  expect(inspect(rows, { depth: 9, showHidden: true })).not.toMatch(/hunter2|pass/);
});
