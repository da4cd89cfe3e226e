import 'reflect-metadata';
import {
  Bulkhead,
  CircuitProtected,
  Fallback,
  Hedge,
  type Policy,
  RateLimit,
  RateLimitedError,
  TimeLimit,
  TimeoutError,
  bulkhead,
  currentSignal,
  fallback,
  hedge,
  pipeline,
  rateLimit,
  remainingTime,
  retry,
  timeLimit,
} from 'nestjs-bulwark';
import { resetDefaultRegistry, settlePromises } from 'nestjs-bulwark/testing';
import { type Deferred, Lab, type Outcome, deferred, down, settled } from '../support/lab.js';
import { everyPolicy } from './policies.js';

interface Opened {
  readonly items: Deferred<string | undefined>[];
  readonly signal: AbortSignal | undefined;
  closed: boolean;
}

let lab: Lab;
/** One entry for each iteration of the source that was begun. */
let sources: Opened[];
beforeEach(() => {
  lab = new Lab();
  sources = [];
});
afterEach(resetDefaultRegistry);

/** Yields what the test gives it, until that is undefined. */
async function* source(): AsyncGenerator<string, string> {
  const opened: Opened = { items: [], signal: currentSignal(), closed: false };
  sources.push(opened);
  try {
    for (;;) {
      const next = deferred<string | undefined>();
      opened.items.push(next);
      const item = await next.promise;
      if (item === undefined) return 'end';
      yield item;
    }
  } finally {
    opened.closed = true;
  }
}
const inLab = () => ({ runtime: lab.runtime });
const under = (policy: Policy): AsyncGenerator => policy.wrap(source)();

async function give(at: number, item: string | undefined | Error): Promise<void> {
  const waiting = sources[at]?.items.at(-1);
  if (item instanceof Error) waiting?.reject(item);
  else waiting?.resolve(item);
  await settlePromises();
}
/** Reads until the end, and writes down items, the end and errors. */
async function read(rows: AsyncIterable<unknown>): Promise<unknown[]> {
  const seen: unknown[] = [];
  const outcome = await settled(
    (async () => {
      for await (const row of rows) seen.push(row);
    })(),
  );
  return [...seen, 'error' in outcome ? outcome.error : 'end'];
}
const valueOf = async (reading: Promise<IteratorResult<unknown>>): Promise<Outcome<unknown>> => {
  const outcome = await settled(reading);
  return 'value' in outcome ? { value: outcome.value.value as unknown } : outcome;
};

describe.each(everyPolicy)('R43: an async iterable under %s', (_title, makeWith) => {
  const make = (): Policy => makeWith(inLab());

  it('is one call from the first next to the end, and hands items on', async () => {
    const rows = under(make());
    await settlePromises();
    expect(sources).toHaveLength(0);
    const reading = read(rows);
    for (const item of ['one', 'two', undefined]) await give(0, item);
    expect(await reading).toEqual(['one', 'two', 'end']);
    expect(sources).toHaveLength(1);
    expect(sources[0]?.signal?.aborted).toBe(false);
  });

  it('return() closes the source, tells the work, and gives everything back', async () => {
    const policy = make();
    const rows = under(policy);
    const first = rows.next();
    await give(0, 'one');
    expect(await first).toEqual({ done: false, value: 'one' });
    await rows.return(undefined);
    await lab.clock.runAll();
    expect(sources[0]).toMatchObject({ closed: true });
    expect(sources[0]?.signal?.aborted).toBe(true);
    expect(sources).toHaveLength(1);
    for (const part of policy.parts()) {
      const { inUse = 0, queued = 0 } = part.snapshot() as { inUse?: number; queued?: number };
      expect({ inUse, queued }).toEqual({ inUse: 0, queued: 0 });
    }
  });

  it('an error after an item is the same object', async () => {
    const reading = read(under(make()));
    await give(0, 'one');
    await give(0, down);
    await lab.clock.runAll();
    expect(await reading).toEqual(['one', down]);
    expect(sources).toHaveLength(1);
  });
});

describe('R60: a time limit of an async iterable', () => {
  it('ends the read under way, and the source when it can be closed', async () => {
    const reading = read(under(timeLimit(100, inLab())));
    await give(0, 'one');
    await lab.clock.advance(100);
    expect(await reading).toEqual(['one', expect.any(TimeoutError)]);
    expect(sources[0]?.signal?.aborted).toBe(true);
    await give(0, 'late');
    expect(sources[0]).toMatchObject({ closed: true });
  });

  it('R45: what is left of it is known in every item', async () => {
    const times: unknown[] = [];
    const rows = timeLimit(100, inLab()).wrap(async function* () {
      for (;;) yield times.push(remainingTime());
    })();
    await rows.next();
    lab.clock.jump(30);
    await rows.next();
    expect(times).toEqual([100, 70]);
  });
});

describe('R62: a bulkhead of async iterables', () => {
  it.each<[string, (rows: AsyncGenerator) => Promise<unknown>]>([
    ['the end', () => give(0, undefined)],
    ['an error', () => give(0, down)],
    ['return()', (rows) => rows.return(undefined)],
  ])('holds the slot until %s', async (_title, end) => {
    const slots = bulkhead({ maxConcurrent: 1, maxQueue: 1 }, inLab());
    const rows = under(slots);
    const first = rows.next();
    await give(0, 'one');
    await first;
    void settled(rows.next());
    void settled(under(slots).next());
    await settlePromises();
    expect(sources).toHaveLength(1);
    expect(await valueOf(under(slots).next())).toHaveProperty('error.code', 'BULKHEAD_FULL');
    // A generator that is in the middle of a step returns after it.
    const ending = end(rows);
    await give(0, 'two');
    await ending;
    await settlePromises();
    expect(sources).toHaveLength(2);
  });
});

describe('a rate limit of async iterables', () => {
  it('counts iterations, not items', async () => {
    const rate = rateLimit({ limit: 1, interval: 1000 }, inLab());
    const reading = read(under(rate));
    for (const item of ['one', 'two', undefined]) await give(0, item);
    expect(await reading).toEqual(['one', 'two', 'end']);
    expect(await read(under(rate))).toEqual([expect.any(RateLimitedError)]);
    expect(sources).toHaveLength(1);
  });
});

describe('R63: a fallback of an async iterable', () => {
  async function* instead(...items: unknown[]): AsyncGenerator {
    for (const item of items) yield await Promise.resolve(item);
  }
  it.each<[string, () => unknown, unknown[]]>([
    ['an async iterable', () => instead('one', 'two'), ['one', 'two', 'end']],
    ['an empty one', () => instead(), ['end']],
    ['a promise of one', () => Promise.resolve(instead('one')), ['one', 'end']],
    ['a value, which is the only item', () => 'cached', ['cached', 'end']],
    ['undefined, as well', () => undefined, [undefined, 'end']],
  ])('may be %s', async (_title, handler, expected) => {
    const reading = read(under(fallback(handler, {}, inLab())));
    await give(0, down);
    expect(await reading).toEqual(expected);
  });

  it('never begins after an item: the error is the original one', async () => {
    const reading = read(under(fallback(() => instead('again'), {}, inLab())));
    await give(0, 'one');
    await give(0, down);
    expect(await reading).toEqual(['one', down]);
  });

  it('is part of the call: its own error is retried around it, a time limit ends it', async () => {
    let tries = 0;
    const policy = pipeline(
      timeLimit(500, inLab()),
      retry({ baseDelay: 100, jitter: 0 }, inLab()),
      fallback(
        async function* () {
          if (++tries === 1) throw new Error('nothing cached');
          yield await Promise.resolve('cached');
          await new Promise(() => undefined);
        },
        {},
        inLab(),
      ),
    );
    const rows = policy.wrap(async function* () {
      yield await Promise.reject<string>(down);
    });
    const reading = read(rows());
    await lab.clock.runAll();
    expect(await reading).toEqual(['cached', expect.any(TimeoutError)]);
    expect(tries).toBe(2);
  });
});

describe('R64: a hedge of an async iterable', () => {
  it('the first to bring an item has the consumer; the loser is closed and aborted', async () => {
    const reading = read(under(hedge({ delay: 50 }, inLab())));
    await lab.clock.advance(50);
    expect(sources).toHaveLength(2);
    await give(1, 'mine');
    expect(sources.map(({ signal }) => signal?.aborted)).toEqual([true, false]);
    await give(0, 'late');
    expect(sources[0]).toMatchObject({ closed: true });
    for (const item of ['again', undefined]) await give(1, item);
    expect(await reading).toEqual(['mine', 'again', 'end']);
  });

  it('a loser that ends empty does not cut the winner short', async () => {
    const reading = read(under(hedge({ delay: 50 }, inLab())));
    await lab.clock.advance(50);
    await give(1, 'one');
    await give(0, undefined);
    for (const item of ['two', undefined]) await give(1, item);
    expect(await reading).toEqual(['one', 'two', 'end']);
  });

  it('does not begin another once an item has come', async () => {
    const reading = read(under(hedge({ delay: 50 }, inLab())));
    await give(0, 'one');
    await lab.clock.advance(500);
    await give(0, undefined);
    expect(await reading).toEqual(['one', 'end']);
    expect(sources).toHaveLength(1);
  });
});

describe('R43: decorated methods with an async iterable', () => {
  class Rows {
    @TimeLimit('1m')
    @Fallback('cached')
    @Hedge({ delay: '30s' })
    @RateLimit({ limit: 1, interval: '1h' })
    @Bulkhead({ maxConcurrent: 2 })
    async *rows(table: string): AsyncGenerator<string, string | undefined> {
      yield table;
      return yield* source();
    }
    async *cached(error: Error, table: string): AsyncGenerator<string> {
      yield await Promise.resolve(`${table}: ${error.name}`);
    }
    @CircuitProtected({ failureThreshold: 1 }, { key: (tenant: string) => tenant })
    async *ofTenant(tenant: string, fails: boolean): AsyncGenerator<string> {
      if (fails) throw down;
      yield await Promise.resolve(tenant);
    }
  }

  it('passes all of them; the fallback gets this and the arguments', async () => {
    const rows = new Rows();
    const reading = read(rows.rows('orders'));
    await settlePromises();
    await give(0, undefined);
    expect(await reading).toEqual(['orders', 'end']);
    expect(await read(rows.rows('orders'))).toEqual(['orders: RateLimitedError', 'end']);
  });

  it('R72: a key reads the arguments', async () => {
    const rows = new Rows();
    expect(await read(rows.ofTenant('a', true))).toEqual([down]);
    expect(await read(rows.ofTenant('a', false))).toMatchObject([{ code: 'CIRCUIT_OPEN' }]);
    expect(await read(rows.ofTenant('b', false))).toEqual(['b', 'end']);
  });
});
