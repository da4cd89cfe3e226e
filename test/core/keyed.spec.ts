import fc from 'fast-check';
import { jest } from '@jest/globals';
import {
  type BreakerKeyFunction,
  type CircuitBreaker,
  type CircuitBreakerOptions,
  type CircuitStateChange,
  KeyedCircuitBreakers,
  type Permit,
  ResilienceConfigError,
  pipeline,
  retry,
} from 'nestjs-bulwark/core';
import { settlePromises } from 'nestjs-bulwark/testing';
import { Lab, down, settled, thrownBy } from '../support/lab.js';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});

/** Three keys at most; a single failure opens, a single success closes. */
const familyWith = (options?: CircuitBreakerOptions): KeyedCircuitBreakers =>
  new KeyedCircuitBreakers(
    'tenants',
    { failureThreshold: 1, successThreshold: 1, maxKeys: 3, ...options },
    { runtime: lab.runtime },
  );

const fail = (breaker: CircuitBreaker): void => breaker.tryAcquire()?.failure(down);
const succeed = (breaker: CircuitBreaker): void => breaker.tryAcquire()?.success();
/** Uses keys in this order. */
const use = (family: KeyedCircuitBreakers, keys: string): void => {
  for (const key of keys) succeed(family.for(key));
};
/** Whether a key is still known: a breaker that was made anew has no past. */
const knows = (breaker: CircuitBreaker, family: KeyedCircuitBreakers, key: string): boolean =>
  family.for(key) === breaker;

describe('R72 a breaker for each key', () => {
  it('opens for one key alone', () => {
    const family = familyWith();
    fail(family.for('a'));
    expect([family.for('a').state, family.for('b').state]).toEqual(['open', 'closed']);
  });

  it('is the same object for the same key, with a name and an id of its own', () => {
    const family = familyWith();
    const breaker = family.for('a');
    expect(family.for('a')).toBe(breaker);
    expect(family.for('b')).not.toBe(breaker);
    expect(breaker).toMatchObject({ name: 'tenants[a]', id: 'breaker:tenants[a]' });
    expect(breaker.snapshot()).toMatchObject({ name: 'tenants[a]', state: 'closed' });
    expect(family.id).toBe('breaker:tenants[*]');
  });

  it('is the one that a protected function with that key meets', async () => {
    const family = familyWith();
    const charge = family
      .by((tenant: string) => tenant)
      .wrap(async (tenant: string, fails: boolean) => {
        if (fails) throw down;
        return tenant;
      });
    await settled(charge('a', true));
    expect(family.for('a').state).toBe('open');
    expect(family.for('a').stats).toMatchObject({ failedCalls: 1, lastFailure: down });
    expect(await lab.errorOf(charge('a', false))).toMatchObject({ breakerName: 'tenants[a]' });
    expect(await charge('b', false)).toBe('b');
  });

  it('counts a call that its caller gave up as ignored', async () => {
    const family = familyWith();
    const controller = new AbortController();
    const running = pipeline(retry({ maxAttempts: 1 }), family).execute(
      () => {
        controller.abort(down);
        return Promise.reject(down);
      },
      { signal: controller.signal },
    );
    expect(await settled(running)).toEqual({ error: down });
    await settlePromises();
    expect(family.for('').stats).toMatchObject({ ignoredCalls: 1, failedCalls: 0, inFlight: 0 });
  });

  it('counts no call for a first look at a stream', async () => {
    const family = familyWith();
    async function* numbers(): AsyncGenerator<number> {
      yield 1;
    }
    const list = family.wrap(() => numbers());
    for await (const n of list()) expect(n).toBe(1);
    await settlePromises();
    expect(family.for('').stats).toMatchObject({ totalCalls: 1, successfulCalls: 1 });
  });

  it('rejects with the time of its own key', async () => {
    const family = familyWith();
    fail(family.for('a'));
    lab.clock.jump(1000);
    fail(family.for('b'));
    const wrapped = family.wrap(async (key: string) => key);
    expect(await lab.errorOf(wrapped('a'))).toMatchObject({ remainingTimeout: 29_000 });
    expect(await lab.errorOf(wrapped('b'))).toMatchObject({ remainingTimeout: 30_000 });
  });

  it('is probed and closes on its own', () => {
    const family = familyWith();
    fail(family.for('a'));
    lab.clock.jump(29_000);
    fail(family.for('b'));
    lab.clock.jump(1000);
    use(family, 'a');
    expect([family.for('a').state, family.for('b').state]).toEqual(['closed', 'open']);
  });

  it('stands in a pipeline beside other policies', async () => {
    const family = familyWith();
    const work = jest.fn(async (key: string) => Promise.reject<string>(new Error(key)));
    const call = pipeline(
      retry({ maxAttempts: 5, baseDelay: 1 }, { runtime: lab.runtime }),
      family.by((key: string) => key),
    ).wrap(work);
    expect(await lab.errorOf(call('a'))).toMatchObject({ code: 'CIRCUIT_OPEN' });
    expect(work).toHaveBeenCalledTimes(1);
    expect(family.for('a').state).toBe('open');
  });

  it('has all that a breaker has: reset, isolate, listeners, configure', () => {
    const family = familyWith();
    const breaker = family.for('a');
    const changes: string[] = [];
    breaker.onStateChange(({ breakerName, to }) => changes.push(`${breakerName} ${to}`));
    const hold = breaker.isolate();
    expect(family.summary().notClosed).toEqual({ isolated: 1 });
    hold.release();
    expect(family.summary().notClosed).toEqual({});
    fail(breaker);
    breaker.reset();
    expect(changes).toEqual([
      'tenants[a] isolated',
      'tenants[a] closed',
      'tenants[a] open',
      'tenants[a] closed',
    ]);
    breaker.configure({ failureThreshold: 2 });
    fail(breaker);
    expect(breaker.state).toBe('closed');
    expect(family.for('b').options.failureThreshold).toBe(1);
  });

  it('without a key function takes the first argument, alone or none', async () => {
    const family = familyWith();
    await family.execute(() => 'no arguments');
    expect(family.for('').stats.successfulCalls).toBe(1);
    family.wrap((key: string) => key)('b');
    expect(family.for('b').stats.successfulCalls).toBe(1);
  });
});

describe('R72 keys', () => {
  const keyMet = (keyOf: BreakerKeyFunction, ...args: unknown[]): string => {
    const family = familyWith({ maxKeys: 100 });
    const wrapped = family.by(keyOf).wrap((...all: unknown[]): unknown => {
      if (all.length >= 0) throw down;
      return all;
    });
    expect(thrownBy(() => wrapped(...args))).toBe(down);
    expect(family.size).toBe(1);
    return family.summary().examples[0]?.key ?? 'none';
  };

  it.each<[unknown, string]>([
    ['tenant', 'tenant'],
    ['', ''],
    [' ', ' '],
    ['__proto__', '__proto__'],
    ['constructor', 'constructor'],
    ['a]b[c', 'a]b[c'],
    ['zażółć 🦆', 'zażółć 🦆'],
    [7, '7'],
    [-0, '0'],
    [NaN, 'NaN'],
    [7n, '7'],
    [true, 'true'],
    [undefined, ''],
    [null, ''],
    [{ id: 7 }, ''],
    [['a'], ''],
    [Symbol('a'), ''],
    ['x'.repeat(128), 'x'.repeat(128)],
  ])('%p goes to the breaker of %j', (given, key) => {
    expect(keyMet(() => given as string)).toBe(key);
  });

  it.each(['__proto__', 'constructor', 'toString', 'a]', '[', 'tenants[a]'])(
    '%j is a key as any other, evicted as any other',
    (key) => {
      const family = familyWith();
      fail(family.for(key));
      expect(family.for(key).state).toBe('open');
      expect(family.summary()).toMatchObject({
        keys: 1,
        notClosed: { open: 1 },
        examples: [{ key, state: 'open' }],
      });
      lab.clock.jump(30_000);
      succeed(family.for(key));
      use(family, 'xyz');
      expect(family.summary()).toEqual({ keys: 3, notClosed: {}, examples: [], evicted: 1 });
      expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    },
  );

  it('however long ones take bounded room, and stay apart', () => {
    const long = 'x'.repeat(1_000_000);
    const family = familyWith();
    fail(family.for(`${long}a`));
    expect(family.for(`${long}a`).state).toBe('open');
    expect(family.for(`${long}b`).state).toBe('closed');
    expect(family.summary().examples[0]?.key.length).toBeLessThan(129);
    expect(family.for(`${long}a`).name.length).toBeLessThan(150);
  });

  it('sees all arguments', () => {
    expect(keyMet((a: string, b: number) => `${a}/${String(b)}`, 'host', 2)).toBe('host/2');
  });

  it('R19 that throw go to the breaker of the empty key, logged with the name', () => {
    const boom = new Error('no tenant');
    const key = keyMet(() => {
      throw boom;
    });
    expect(key).toBe('');
    expect(lab.logger.errors).toEqual([
      {
        message:
          'Circuit breaker "tenants": key threw; the call goes to the breaker of the empty key',
        cause: boom,
      },
    ]);
  });

  it('R19 that are promised do so too, logged once', async () => {
    const family = familyWith();
    for (const end of [Promise.resolve('a'), Promise.reject(down), Promise.resolve('b')]) {
      await family.by((() => end) as never).wrap(async () => 'called')();
    }
    expect(family.for('').stats.totalCalls).toBe(3);
    expect(lab.logger.errors.map(({ message }) => message)).toEqual([
      'Circuit breaker "tenants": key returned a promise; it must not be async; the call goes to the breaker of the empty key',
    ]);
  });
});

describe('R72 room for so many keys', () => {
  it.each([
    ['abcd', 'bcd'],
    ['abcad', 'acd'], // a was used since
    ['abcabcd', 'bcd'],
    ['abcda', 'cda'],
  ])('used as %s keeps %s', (keys, kept) => {
    const family = familyWith();
    const made = new Map<string, CircuitBreaker>();
    for (const key of keys) {
      const breaker = family.for(key);
      made.set(key, breaker);
      succeed(breaker);
    }
    expect(family.size).toBe(3);
    for (const key of kept) expect(knows(made.get(key) as CircuitBreaker, family, key)).toBe(true);
  });

  it('looking at a key counts as use, and so does an execution', () => {
    const family = familyWith();
    use(family, 'abc');
    family.for('a');
    family.wrap((key: string) => key)('b');
    use(family, 'd');
    const evicted = family.summary().evicted;
    use(family, 'ab');
    expect(family.summary().evicted).toBe(evicted);
  });

  it('is made by a closed one, however long ago an open one was used', () => {
    const family = familyWith();
    const open = family.for('a');
    fail(open);
    use(family, 'bcdefgh');
    expect(family.for('a')).toBe(open);
    expect(open.state).toBe('open');
    expect(family.summary()).toEqual({
      keys: 3,
      notClosed: { open: 1 },
      examples: [{ key: 'a', state: 'open' }],
      evicted: 5,
    });
  });

  it.each<[string, (breaker: CircuitBreaker) => void]>([
    ['half-open', (breaker) => (fail(breaker), lab.clock.jump(30_000), breaker.tryAcquire())],
    ['isolated', (breaker) => breaker.isolate()],
    ['disabled', (breaker) => breaker.disable()],
  ])('is not made by one that is %s', (_state, move) => {
    const family = familyWith();
    const moved = family.for('a');
    move(moved);
    use(family, 'bcdef');
    expect(family.for('a')).toBe(moved);
  });

  it('is made by one that has closed again, once it is the least recently used', () => {
    const family = familyWith();
    const breaker = family.for('a');
    fail(breaker);
    use(family, 'bc');
    lab.clock.jump(30_000);
    succeed(breaker);
    use(family, 'de');
    expect(knows(breaker, family, 'a')).toBe(true);
    use(family, 'fgh');
    expect(knows(breaker, family, 'a')).toBe(false);
  });

  it('is not made by one with a call in flight while another is idle', () => {
    const family = familyWith();
    const busy = family.for('a');
    const permit = busy.tryAcquire();
    use(family, 'bcdef');
    expect(family.for('a')).toBe(busy);
    permit?.success();
    use(family, 'ghi');
    expect(family.for('a')).not.toBe(busy);
  });

  it('is not made by any of a hundred with calls in flight, while another is idle', () => {
    const family = familyWith({ maxKeys: 101 });
    const busy = Array.from({ length: 100 }, (_, at) => family.for(`busy ${String(at)}`));
    const permits = busy.map((breaker) => breaker.tryAcquire());
    for (let at = 0; at < 500; at++) succeed(family.for(`new ${String(at)}`));
    expect(busy.every((breaker, at) => knows(breaker, family, `busy ${String(at)}`))).toBe(true);
    for (const permit of permits) permit?.failure(down);
    expect(family.summary()).toMatchObject({ keys: 101, notClosed: { open: 100 } });
  });

  it('is made by a busy one where nobody idle is found in a few hundred looks', () => {
    const family = familyWith({ maxKeys: 1000 });
    const breakers = Array.from({ length: 1000 }, (_, at) => family.for(at));
    const permits = breakers.map((breaker) => breaker.tryAcquire());
    permits[999]?.success();
    const first = family.for('first'); // looks at all thousand: the last is idle
    permits[257]?.success();
    family.for('second'); // looks at 0 to 256 only
    expect(family.summary()).toMatchObject({ keys: 1000, evicted: 2 });
    expect(knows(breakers[257] as CircuitBreaker, family, '257')).toBe(true);
    expect(knows(first, family, 'first')).toBe(true);
  });

  it('is made even where every call is in flight, and where every circuit is open', () => {
    const family = familyWith();
    const permits = [...Array(10).keys()].map((key) => family.for(key).tryAcquire());
    expect(family.size).toBe(3);
    for (const permit of permits) permit?.failure(down);
    expect(family.summary()).toEqual({
      keys: 3,
      notClosed: { open: 3 },
      examples: ['7', '8', '9'].map((key) => ({ key, state: 'open' })),
      evicted: 7,
    });
    use(family, 'abc');
    expect(family.size).toBe(3);
  });

  it('a call of an evicted breaker ends on that one, not on its successor', () => {
    const family = familyWith({ maxKeys: 1 });
    const evicted = family.for('a');
    const late = evicted.tryAcquire();
    use(family, 'b');
    const successor = family.for('a');
    expect(successor).not.toBe(evicted);
    late?.failure(down);
    expect([evicted.state, successor.state]).toEqual(['open', 'closed']);
    expect(family.summary()).toMatchObject({ keys: 1, notClosed: {}, examples: [] });
    use(family, 'c'); // the successor is closed, and makes room
    expect(family.summary()).toMatchObject({ keys: 1, notClosed: {} });
  });

  it.each([1, 2, 5, 30])('of %d is bounded, and kept for those that a model keeps', (maxKeys) => {
    const step = fc.record({
      key: fc.nat(maxKeys + 6),
      as: fc.constantFrom('s', 's', 'f', 'start', 'settle', 'settle', 'wait', 'reset'),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 150, size: 'max' }), (steps) => {
        lab = new Lab();
        const trial = new KeyedTrial(familyWith({ maxKeys }), maxKeys);
        for (const { key, as } of steps) trial.take(String(key), as);
        trial.compareBreakers();
      }),
      { numRuns: 700 },
    );
  });
});

/** The family beside a model that keeps two lists of keys. */
class KeyedTrial {
  private readonly known = new Map<string, CircuitBreaker>();
  /** The least recently used first. */
  private closed: string[] = [];
  /** In the order in which they tripped. */
  private tripped: string[] = [];
  private evicted = 0;
  private readonly running: (Permit | undefined)[] = [];

  constructor(
    private readonly family: KeyedCircuitBreakers,
    private readonly maxKeys: number,
  ) {}

  take(key: string, as: string): void {
    if (as === 'wait') lab.clock.jump(30_000);
    else if (as === 'settle') this.running.shift()?.success();
    else this.use(key, as);
    this.followMoves();
    const { summary } = this.family.snapshot();
    same(summary.keys, this.known.size);
    same(summary.keys <= this.maxKeys, true);
    same(summary.evicted, this.evicted);
    const { open = 0, half_open: halfOpen = 0 } = summary.notClosed;
    same(open + halfOpen, this.tripped.length);
    same(summary.examples.map((each) => each.key).join(), this.tripped.slice(0, 10).join());
  }

  private use(key: string, as: string): void {
    if (!this.known.has(key) && this.known.size === this.maxKeys) this.evictOne();
    const breaker = this.family.for(key);
    same(this.known.get(key) ?? breaker, breaker);
    this.known.set(key, breaker);
    if (!this.tripped.includes(key)) this.moveToEnd(key);
    if (as === 's') succeed(breaker);
    if (as === 'f') fail(breaker);
    if (as === 'start') this.running.push(breaker.tryAcquire());
    if (as === 'reset') breaker.reset();
  }

  private moveToEnd(key: string): void {
    this.closed = [...this.closed.filter((each) => each !== key), key];
  }

  private evictOne(): void {
    const isBusy = (key: string): boolean => (this.known.get(key)?.stats.inFlight ?? 0) > 0;
    const idle = this.closed.find((key) => !isBusy(key));
    const gone = idle ?? this.closed[0] ?? this.tripped[0];
    // A call in flight counts as use.
    const passed =
      idle === undefined ? this.closed : this.closed.slice(0, this.closed.indexOf(idle));
    for (const key of [...passed]) this.moveToEnd(key);
    this.closed = this.closed.filter((key) => key !== gone);
    this.tripped = this.tripped.filter((key) => key !== gone);
    this.known.delete(gone as string);
    this.evicted++;
  }

  private followMoves(): void {
    for (const [key, { state }] of this.known) {
      const wasClosed = this.closed.includes(key);
      if (wasClosed === (state === 'closed')) continue;
      this.closed = this.closed.filter((each) => each !== key);
      this.tripped = this.tripped.filter((each) => each !== key);
      (wasClosed ? this.tripped : this.closed).push(key);
    }
  }

  /** Asking for a key that is known makes room for none. */
  compareBreakers(): void {
    for (const [key, breaker] of this.known) same(this.family.for(key), breaker);
    same(this.family.summary().evicted, this.evicted);
  }
}

function same(actual: unknown, expected: unknown): void {
  if (!Object.is(actual, expected)) throw new Error(`${String(actual)}, not ${String(expected)}`);
}

describe('R72 the summary', () => {
  it('counts by state and shows ten, the one longest not closed first', () => {
    const family = familyWith({ maxKeys: 1000 });
    for (let key = 0; key < 100; key++) {
      const breaker = family.for(key);
      if (key < 40) fail(breaker);
      else succeed(breaker);
    }
    lab.clock.jump(30_000);
    family.for(3).tryAcquire();
    family.for(50).isolate();
    const { summary } = family.snapshot();
    expect(summary).toMatchObject({
      keys: 100,
      notClosed: { open: 39, half_open: 1, isolated: 1 },
      evicted: 0,
    });
    expect(summary.examples.map(({ key }) => key)).toEqual([...Array(10).keys()].map(String));
    expect(summary.examples[3]).toEqual({ key: '3', state: 'half_open' });
  });

  it('of no key is empty, and a snapshot is that of the family at every place', () => {
    const family = familyWith();
    expect(family.summary()).toEqual({ keys: 0, notClosed: {}, examples: [], evicted: 0 });
    const place = family.by(() => 'a');
    expect(place.snapshot()).toEqual(family.snapshot());
    expect([place.id, place.name, place.kind]).toEqual([
      'breaker:tenants[*]',
      'tenants',
      'circuitBreaker',
    ]);
    expect(place.describe()).toEqual(family.describe());
  });
});

describe('R72 listeners', () => {
  it('of the options are told of every member, by its name', () => {
    const told: string[] = [];
    const onStateChange = ({ breakerName, from, to }: CircuitStateChange): void => {
      told.push(`${breakerName} ${from} ${to}`);
    };
    const family = familyWith({ onStateChange });
    expect(family.options.onStateChange).toBe(onStateChange);
    fail(family.for('a'));
    fail(family.for('b'));
    lab.clock.jump(30_000);
    use(family, 'a');
    expect(told).toEqual([
      'tenants[a] closed open',
      'tenants[b] closed open',
      'tenants[a] open half_open',
      'tenants[a] half_open closed',
    ]);
  });

  it('R19 that throw or reject are contained, and the family follows all the same', async () => {
    for (const onStateChange of [
      () => {
        throw down;
      },
      () => Promise.reject(down) as never,
    ]) {
      const family = familyWith({ onStateChange });
      fail(family.for('a'));
      await new Promise((resolve) => setImmediate(resolve));
      expect(family.summary().notClosed).toEqual({ open: 1 });
      expect(lab.logger.errors.at(-1)?.cause).toBe(down);
    }
    expect(lab.logger.errors).toHaveLength(2);
  });

  it('of one member may be replaced; it is kept from eviction as before', () => {
    const family = familyWith();
    const breaker = family.for('a');
    breaker.configure({ onStateChange: () => undefined });
    fail(breaker);
    expect(family.summary().notClosed).toEqual({ open: 1 });
    use(family, 'bcdef');
    expect(family.for('a')).toBe(breaker);
  });

  it('may use the family', () => {
    const family: KeyedCircuitBreakers = familyWith({
      onStateChange: ({ to }) => {
        if (to === 'open') use(family, 'bcdef');
      },
    });
    fail(family.for('a'));
    expect(family.summary()).toMatchObject({ keys: 3, notClosed: { open: 1 } });
  });
});

describe('R75 configure changes the whole family', () => {
  it('those known, those to come, and what a member shows', () => {
    const family = familyWith({ failureThreshold: 3 });
    const known = family.for('a');
    fail(known);
    family.configure({ failureThreshold: 2 });
    expect(known.options.failureThreshold).toBe(2);
    fail(known);
    expect(known.state).toBe('open');
    family.for('b').configure({ successThreshold: 2 });
    expect(family.for('b').options).toMatchObject({ failureThreshold: 2, successThreshold: 2 });
    expect(family.options.successThreshold).toBe(1);
    family.configure({ recoveryTimeout: 5 });
    expect(family.options).toMatchObject({ failureThreshold: 2, probeTimeout: 5 });
    fail(family.for('c'));
    fail(family.for('c'));
    expect(family.for('c').remainingTimeout).toBe(5);
    expect(known.remainingTimeout).toBe(30_000);
  });

  it('reaches functions that were wrapped before, and places', () => {
    const family = familyWith();
    const place = family.by((key: string) => key);
    const wrapped = place.wrap((key: string): string => {
      if (key === 'a') throw down;
      return key;
    });
    family.configure({ failureThreshold: 2 });
    expect(() => wrapped('a')).toThrow(down);
    expect(family.for('a').state).toBe('closed');
    expect(place.options).toBe(family.options);
  });

  it('a smaller maxKeys evicts as a new key would, a larger one keeps all', () => {
    const family = familyWith({ maxKeys: 5 });
    const open = family.for('open');
    fail(open);
    use(family, 'abcd');
    family.for('a'); // the latest used
    const latest = family.for('a');
    family.configure({ maxKeys: 2 });
    expect(family.size).toBe(2);
    expect([family.for('open'), family.for('a')]).toEqual([open, latest]);
    family.configure({ maxKeys: 4 });
    use(family, 'xy');
    expect(family.size).toBe(4);
    expect([family.for('open'), family.for('a')]).toEqual([open, latest]);
    use(family, 'z');
    expect(family.size).toBe(4);
  });

  it('all or nothing', () => {
    const family = familyWith();
    const before = family.options;
    for (const bad of [{ failureThreshold: 0, maxKeys: 9 }, { maxKeys: 0 }, { maxkeys: 5 }, null]) {
      expect(() => family.configure(bad as CircuitBreakerOptions)).toThrow(ResilienceConfigError);
    }
    expect(family.options).toBe(before);
  });
});

it('R72 without options has those of a breaker, and a thousand keys', () => {
  const family = new KeyedCircuitBreakers('tenants', undefined, { runtime: lab.runtime });
  expect(family.options).toMatchObject({ failureThreshold: 5, maxKeys: 1000 });
  family.configure({ failureThreshold: 1 });
  fail(family.for('a'));
  expect(family.for('a').state).toBe('open');
});

describe('R72 bad options', () => {
  it.each([0, -1, 1.5, NaN, 10_000_001, '1000', null])('maxKeys %p', (maxKeys) => {
    const error = thrownBy(() => familyWith({ maxKeys: maxKeys as number }));
    expect(error).toBeInstanceOf(ResilienceConfigError);
    expect((error as Error).message).toContain('circuitBreaker(tenants).maxKeys must be');
  });

  it.each(['', ' ', undefined, 5])('name %p', (name) => {
    expect(() => new KeyedCircuitBreakers(name as string)).toThrow(ResilienceConfigError);
  });
});
