import { AsyncLocalStorage } from 'node:async_hooks';
import { getEventListeners } from 'node:events';
import {
  type BulkheadOptions,
  type BulkheadPolicy,
  BulkheadRejectedError,
  Lifetime,
  type Policy,
  RateLimitedError,
  TimeoutError,
  bulkhead,
  currentSignal,
  hedge,
  pipeline,
  retry,
  timeLimit,
} from 'nestjs-bulwark/core';
import { settlePromises } from 'nestjs-bulwark/testing';
import {
  type Deferred,
  type Outcome,
  Lab,
  deferred,
  down,
  settled,
  thrownBy,
} from '../support/lab.js';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});

const bulkheadOf = (options?: BulkheadOptions): BulkheadPolicy =>
  bulkhead(options, { runtime: lab.runtime });
const limitedTo = (limit: number): Policy => timeLimit(limit, { runtime: lab.runtime });
const hang = (): Promise<never> => new Promise(() => undefined);
const after = (time: number): Promise<void> =>
  new Promise((resolve) => lab.clock.setTimeout(() => resolve(), time));

/** Calls by name, started and ended by hand, and the order in which their work began. */
class Calls {
  readonly begun: string[] = [];
  readonly outcomes: Record<string, Promise<Outcome<unknown>>> = {};
  readonly #works: Record<string, Deferred> = {};

  constructor(private readonly policy: Policy) {}

  start(name: string, signal?: AbortSignal): this {
    const work = (this.#works[name] = deferred());
    this.outcomes[name] = settled(
      this.policy.execute(
        () => {
          this.begun.push(name);
          return work.promise;
        },
        { signal },
      ),
    );
    return this;
  }

  async end(...names: string[]): Promise<void> {
    for (const name of names) this.#works[name]?.resolve(name);
    await settlePromises();
  }
}

describe('R62 a bulkhead without a queue', () => {
  it('runs ten calls at once by default and rejects the eleventh', async () => {
    const policy = bulkheadOf({ name: 'reports' });
    const calls = new Calls(policy);
    for (let call = 0; call < 10; call++) calls.start(String(call));
    const error = await lab.errorOf(policy.execute(() => 'no room'));
    expect(error).toBeInstanceOf(BulkheadRejectedError);
    expect(error).toMatchObject({ bulkheadName: 'reports', code: 'BULKHEAD_FULL' });
    expect(policy.snapshot()).toMatchObject({ calls: { accepted: 10, rejected: 1 }, inUse: 10 });
  });

  it.each([
    ['succeeds', () => 'done'],
    [
      'throws at once',
      () => {
        throw down;
      },
    ],
    ['rejects', () => Promise.reject(down)],
    [
      'gives a foreign thenable',
      (): unknown => ({ then: (ok: (value: string) => void) => ok('then') }),
    ],
  ])('frees the slot when the work %s', async (_ending, work) => {
    const policy = bulkheadOf({ maxConcurrent: 1 });
    for (let call = 0; call < 3; call++) await settled(policy.execute(work));
    expect(policy.snapshot()).toMatchObject({ calls: { accepted: 3, rejected: 0 }, inUse: 0 });
  });

  it('keeps the kind of result of a synchronous function', () => {
    const policy = bulkheadOf({ maxConcurrent: 1 });
    const outer = policy.wrap(() => thrownBy(() => inner()));
    const inner = policy.wrap(() => 'plain');
    expect(inner()).toBe('plain');
    expect(outer()).toBeInstanceOf(BulkheadRejectedError);
    expect(policy.snapshot().inUse).toBe(0);
  });

  it.each([
    [false, 1],
    [true, 2],
  ])(
    'with captureStack: %s rejects with a stack of at least %d lines',
    async (captureStack, lines) => {
      const policy = bulkheadOf({ maxConcurrent: 1, captureStack });
      void policy.execute(hang);
      const { stack } = (await lab.errorOf(policy.execute(hang))) as Error;
      expect(stack?.split('\n').length).toBeGreaterThanOrEqual(lines);
      expect(stack?.includes('bulkhead.spec')).toBe(captureStack);
    },
  );
});

describe('R62 a bulkhead with a queue', () => {
  it('sets no timer for a wait without an end', async () => {
    const policy = bulkhead({ maxConcurrent: 1, maxQueue: 1 }, { runtime: lab.runtime });
    const first = deferred();
    const calls = [policy.execute(() => first.promise), policy.execute(() => 'second')];
    expect(policy.snapshot().queued).toBe(1);
    expect(lab.clock.pendingTimers).toBe(0);
    first.resolve('first');
    expect(await Promise.all(calls)).toEqual(['first', 'second']);
  });

  it('runs 100 calls of 50 ms five at a time, in their order', async () => {
    const policy = bulkheadOf({ maxConcurrent: 5, maxQueue: 95 });
    const begun: number[] = [];
    let running = 0;
    let most = 0;
    const calls = Array.from({ length: 100 }, (_, call) =>
      policy.execute(async () => {
        begun.push(call);
        most = Math.max(most, ++running);
        await after(50);
        running--;
      }),
    );
    await lab.clock.advance(1000);
    await Promise.all(calls);
    expect(most).toBe(5);
    expect(begun).toEqual([...begun.keys()]);
    expect(lab.clock.now()).toBe(1000);
    expect(policy.snapshot()).toMatchObject({ calls: { accepted: 100 }, inUse: 0, queued: 0 });
  });

  it('takes a call for each place in the queue and no more', async () => {
    const policy = bulkheadOf({ maxConcurrent: 1, maxQueue: 2 });
    const calls = new Calls(policy).start('a').start('b').start('c').start('d');
    expect(await calls.outcomes.d).toEqual({ error: new BulkheadRejectedError('bulkhead') });
    expect(policy.snapshot()).toMatchObject({ inUse: 1, queued: 2 });
  });

  it('lets no new call overtake a queued one, whichever way a slot becomes free', async () => {
    const calls = new Calls(bulkheadOf({ maxConcurrent: 2, maxQueue: 5 }));
    calls.start('a').start('b').start('c');
    void calls.outcomes.a?.then(() => calls.start('e'));
    void calls.outcomes.b?.then(() => calls.start('f'));
    calls.start('d');
    await calls.end('a', 'b');
    await calls.end('c', 'd');
    expect(calls.begun).toEqual(['a', 'b', 'c', 'd', 'e', 'f']);
  });

  it('never starts a queued call that was aborted, and gives its place away', async () => {
    const policy = bulkheadOf({ maxConcurrent: 1, maxQueue: 2 });
    const caller = new AbortController();
    const calls = new Calls(policy).start('a').start('b', caller.signal).start('c');
    caller.abort(down);
    expect(await calls.outcomes.b).toEqual({ error: down });
    calls.start('d');
    await calls.end('a');
    await calls.end('c');
    expect(calls.begun).toEqual(['a', 'c', 'd']);
    expect(policy.snapshot().calls).toMatchObject({ aborted: 1, accepted: 3, rejected: 0 });
    expect(getEventListeners(caller.signal, 'abort')).toEqual([]);
  });

  it('does not queue a call that nobody waits for any more', async () => {
    const policy = bulkheadOf({ maxConcurrent: 1, maxQueue: 1 });
    void policy.execute(hang);
    let nested: Promise<Outcome<unknown>> | undefined;
    const error = await lab.errorOf(
      limitedTo(10).execute(async () => {
        await after(20);
        nested = settled(policy.execute(hang));
      }),
    );
    expect(await nested).toEqual({ error });
    expect(policy.snapshot()).toMatchObject({ queued: 0, calls: { aborted: 1 } });
  });

  it('rejects a call that waits for queueTimeout, at that instant, and never starts it', async () => {
    const policy = bulkheadOf({ maxConcurrent: 1, maxQueue: 5, queueTimeout: '100ms' });
    const calls = new Calls(policy).start('a').start('b');
    await lab.clock.advance(60);
    calls.start('c');
    await lab.clock.advance(39);
    expect(policy.snapshot().queued).toBe(2);
    await lab.clock.advance(1);
    expect(await calls.outcomes.b).toEqual({ error: new BulkheadRejectedError('bulkhead') });
    await calls.end('a');
    await calls.end('c');
    expect(calls.begun).toEqual(['a', 'c']);
    expect(policy.snapshot().calls).toEqual({
      accepted: 2,
      rejected: 0,
      queue_timeout: 1,
      aborted: 0,
    });
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('never starts a queued call whose time limit has run out', async () => {
    const policy = bulkheadOf({ maxConcurrent: 1, maxQueue: 5 });
    const calls = new Calls(policy).start('a');
    const outer = new Calls(pipeline(limitedTo(100), policy)).start('b');
    calls.start('c');
    await lab.clock.advance(100);
    expect(await outer.outcomes.b).toEqual({ error: new TimeoutError(100) });
    await calls.end('a');
    expect([calls.begun, outer.begun]).toEqual([['a', 'c'], []]);
    expect(policy.snapshot().calls).toMatchObject({ aborted: 1 });
  });

  it('nor one whose deadline has passed while the timer is late', async () => {
    const policy = bulkheadOf({ maxConcurrent: 1, maxQueue: 5 });
    const calls = new Calls(policy).start('a');
    const outer = new Calls(pipeline(limitedTo(100), policy)).start('b');
    calls.start('c');
    lab.clock.jump(150);
    await calls.end('a');
    expect([calls.begun, outer.begun]).toEqual([['a', 'c'], []]);
    await lab.clock.advance(0);
    expect(await outer.outcomes.b).toEqual({ error: new TimeoutError(100) });
    expect(policy.snapshot().queued).toBe(0);
  });

  it('works off ten thousand queued calls, and lets any of them leave', async () => {
    const policy = bulkheadOf({ maxConcurrent: 1, maxQueue: 10_000 });
    const first = deferred();
    void policy.execute(() => first.promise);
    const caller = new AbortController();
    let done = 0;
    const calls = Array.from({ length: 10_000 }, (_, call) =>
      settled(
        pipeline(policy).execute(() => done++, call % 2 ? { signal: caller.signal } : undefined),
      ),
    );
    caller.abort(down);
    first.resolve('go');
    await Promise.all(calls);
    expect(done).toBe(5000);
    expect(policy.snapshot()).toMatchObject({ inUse: 0, queued: 0, calls: { aborted: 5000 } });
  });

  it('runs queued work in the async context of its own caller', async () => {
    const requests = new AsyncLocalStorage<string>();
    const policy = bulkheadOf({ maxConcurrent: 1, maxQueue: 5 });
    const seen: unknown[] = [];
    const ids = ['first', 'second', 'third'];
    const run = (id: string): Promise<unknown> =>
      requests.run(id, () => policy.execute(async () => seen.push(requests.getStore())));
    await Promise.all(ids.map(run));
    expect(seen).toEqual(ids);
  });

  it('R33 gives up what waits at shutdown', async () => {
    const lifetime = new Lifetime();
    const runtime = { ...lab.runtime, lifetime };
    const policy = bulkhead({ maxConcurrent: 1, maxQueue: 5, queueTimeout: 1000 }, { runtime });
    const calls = new Calls(policy).start('a').start('b');
    lifetime.end();
    expect(await calls.outcomes.b).toMatchObject({ error: { name: 'AbortError' } });
    expect(await calls.start('c').outcomes.c).toMatchObject({ error: { name: 'AbortError' } });
    await calls.end('a');
    await calls.start('d').end('d');
    expect(await calls.outcomes.d).toEqual({ value: 'd' });
    expect(lab.clock.pendingTimers).toBe(0);
  });
});

describe('R62 a slot is held until the innermost work has settled', () => {
  const inPast = (policy: Policy): Policy => pipeline(limitedTo(10), policy);
  const outPast = (policy: Policy): Policy => pipeline(policy, limitedTo(10));
  it.each([
    ['a limit outside it', inPast, 0],
    ['a limit inside it', outPast, 0],
    ['limits on both sides', (policy: Policy) => inPast(outPast(policy)), 0],
    ['two limits inside it', (policy: Policy) => outPast(outPast(policy)), 0],
    ['a limit inside it, with a queue', outPast, 5],
    ['a limit outside it, with a queue', inPast, 5],
  ])('past %s', async (_which, around, maxQueue) => {
    const policy = bulkheadOf({ maxConcurrent: 1, maxQueue });
    const work = deferred();
    const outcome = await lab.outcomeOf(around(policy).execute(() => work.promise));
    expect(outcome).toEqual({ error: new TimeoutError(10) });
    expect(policy.snapshot().inUse).toBe(1);
    work.reject(down);
    await settlePromises();
    expect(policy.snapshot()).toMatchObject({ inUse: 0, calls: { accepted: 1 } });
  });

  it('of two bulkheads around one limit', async () => {
    const [outer, inner] = [bulkheadOf({ name: 'outer' }), bulkheadOf({ name: 'inner' })];
    const work = deferred();
    await lab.outcomeOf(pipeline(outer, inner, limitedTo(10)).execute(() => work.promise));
    const held = [outer.snapshot().inUse, inner.snapshot().inUse];
    work.resolve('late');
    await settlePromises();
    expect(held).toEqual([1, 1]);
    expect([outer.snapshot().inUse, inner.snapshot().inUse]).toEqual([0, 0]);
  });

  it('one slot for all attempts of a retry inside, until the last left behind has ended', async () => {
    const policy = bulkheadOf();
    const works = [deferred(), deferred()];
    let attempt = 0;
    const calls = pipeline(
      policy,
      retry({ maxAttempts: 2 }, { runtime: lab.runtime }),
      limitedTo(10),
    );
    const outcome = lab.outcomeOf(calls.execute(() => works[attempt++]?.promise));
    await lab.clock.advance(115);
    expect(policy.snapshot().inUse).toBe(1);
    works[1]?.resolve('second');
    expect(await outcome).toEqual({ value: 'second' });
    expect(policy.snapshot().inUse).toBe(1);
    works[0]?.resolve('first, late');
    await settlePromises();
    expect(policy.snapshot().inUse).toBe(0);
  });

  it('past the answer of a hedge whose loser goes on', async () => {
    const policy = bulkheadOf();
    const works = [deferred(), deferred()];
    let at = 0;
    const calls = pipeline(policy, hedge({ delay: 10 }, { runtime: lab.runtime }));
    const outcome = lab.outcomeOf(calls.execute(() => works[at++]?.promise));
    await lab.clock.advance(10);
    works[1]?.resolve('hedge');
    expect(await outcome).toEqual({ value: 'hedge' });
    expect(policy.snapshot().inUse).toBe(1);
    works[0]?.reject(down);
    await settlePromises();
    expect(policy.snapshot().inUse).toBe(0);
  });

  it('but not for what calls of its own the work has left behind', async () => {
    const policy = bulkheadOf();
    const nested = limitedTo(10);
    const outcome = lab.outcomeOf(
      pipeline(policy, limitedTo(1000)).execute(() => settled(nested.execute(hang))),
    );
    await outcome;
    expect(policy.snapshot().inUse).toBe(0);
  });

  it('a failing call frees its slot before the wait of a retry around the bulkhead', async () => {
    const policy = bulkheadOf({ maxConcurrent: 1 });
    const retried = pipeline(retry({ jitter: 0 }, { runtime: lab.runtime }), policy);
    let attempts = 0;
    const running = settled(
      retried.execute(() => (++attempts < 2 ? Promise.reject(down) : 'done')),
    );
    await lab.clock.advance(50);
    expect(policy.snapshot().inUse).toBe(0);
    expect(await settled(policy.execute(() => 'between'))).toEqual({ value: 'between' });
    await lab.clock.advance(50);
    expect(await running).toEqual({ value: 'done' });
  });
});

describe('a bulkhead as a policy', () => {
  it('keeps `this`, the arguments and the context of the call', async () => {
    const policy = bulkheadOf({ maxConcurrent: 1, maxQueue: 5 });
    const service = {
      base: 40,
      add: policy.wrap(async function (this: { base: number }, more: number) {
        return [this.base + more, currentSignal()?.aborted];
      }),
    };
    expect(await Promise.all([service.add(1), service.add(2)])).toEqual([
      [41, false],
      [42, false],
    ]);
  });

  it.each([
    [bulkhead(), 'bulkhead'],
    [bulkhead({ name: 'db' }), 'db'],
    [bulkhead({}, { name: 'registered' }), 'registered'],
  ])('R81 has an id and a snapshot', (policy, name) => {
    expect(policy.id).toBe(`bulkhead:${name}`);
    expect(policy.describe()).toEqual([{ kind: 'bulkhead', name, options: policy.options }]);
    expect(policy.snapshot()).toEqual({
      id: `bulkhead:${name}`,
      kind: 'bulkhead',
      name,
      options: expect.objectContaining({ maxConcurrent: 10, maxQueue: 0 }) as unknown,
      calls: { accepted: 0, rejected: 0, queue_timeout: 0, aborted: 0 },
      inUse: 0,
      queued: 0,
      shadowRejections: 0,
      spared: 0,
    });
  });

  it('refuses every bad option at once', () => {
    const bad = {
      maxConcurrent: 0,
      maxQueue: -1,
      queueTimeout: 'soon',
      name: '',
      captureStack: 1,
      maxQeue: 1,
    };
    const { issues } = thrownBy(() => bulkhead(bad as never)) as { issues: string[] };
    for (const key of Object.keys(bad)) {
      expect(issues).toContainEqual(expect.stringContaining(`bulkhead(bulkhead).${key} `));
    }
    expect(issues).toContainEqual(expect.stringContaining('did you mean "maxQueue"?'));
  });

  it('shares its rejections with the other gates', async () => {
    expect(new BulkheadRejectedError('x')).toBeInstanceOf(
      Object.getPrototypeOf(RateLimitedError) as never,
    );
  });
});
