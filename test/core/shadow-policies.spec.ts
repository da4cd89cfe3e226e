import {
  type BulkheadOptions,
  type BulkheadPolicy,
  type BulkheadSnapshot,
  EventHub,
  type Policy,
  type RateLimitOptions,
  type RateLimitPolicy,
  type ResilienceEvent,
  TimeoutError,
  bulkhead,
  currentSignal,
  pipeline,
  rateLimit,
  remainingTime,
  retry,
  timeLimit,
} from 'nestjs-bulwark/core';
import { settlePromises } from 'nestjs-bulwark/testing';
import { type Deferred, Lab, deferred, down, settled } from '../support/lab.js';

let lab: Lab;
let events: ResilienceEvent[];
let runtime: Lab['runtime'];
beforeEach(() => {
  lab = new Lab();
  events = [];
  const hub = new EventHub(() => lab.clock.wallTime(), lab.logger);
  hub.listen((event) => events.push(event));
  runtime = { ...lab.runtime, events: hub };
});

const told = (): string[] => events.map(({ type }) => type);
const shadowBulkhead = (options: BulkheadOptions): BulkheadPolicy =>
  bulkhead({ mode: 'shadow', ...options }, { name: 'reports', runtime });
const shadowRate = (options: RateLimitOptions): RateLimitPolicy =>
  rateLimit({ mode: 'shadow', ...options }, { name: 'partner', runtime });
const shadowLimit = (limit: number) =>
  timeLimit({ limit, mode: 'shadow' }, { name: 'page', runtime });
const after = <T>(time: number, value: T): Promise<T> =>
  new Promise((resolve) => lab.clock.setTimeout(() => resolve(value), time));

/** Calls that run until they are ended, the oldest first. */
class Load {
  readonly #running: Deferred[] = [];
  constructor(private readonly policy: Policy) {}

  /** Plays `+` a call begins, `-` the oldest that runs ends; `=` the newest ends. */
  async play(steps: string): Promise<void> {
    for (const step of steps) {
      if (step === '+') this.#begin();
      else (step === '-' ? this.#running.shift() : this.#running.pop())?.resolve('done');
      await settlePromises();
    }
  }

  get running(): number {
    return this.#running.length;
  }

  #begin(): void {
    const work = deferred();
    void settled(
      this.policy.execute(() => {
        this.#running.push(work);
        return work.promise;
      }),
    );
  }
}

const figures = ({ calls, inUse, spared, shadowRejections }: BulkheadSnapshot) => ({
  accepted: calls.accepted,
  rejected: calls.rejected,
  inUse,
  spared,
  shadowRejections,
});

describe('R73 a bulkhead in shadow mode', () => {
  it.each([
    // steps, begun, accepted, would be rejected, in use, spared
    ['++', 2, 2, 0, 2, 0],
    ['+++', 3, 2, 1, 2, 1],
    ['+++---', 0, 2, 1, 0, 0],
    ['++++-+', 4, 3, 2, 2, 2],
    ['+++=+', 3, 2, 2, 2, 1],
    ['+++--++', 3, 4, 1, 2, 1],
  ])(
    '%s with two slots: decides what it would, and starts everything',
    async (steps, running, accepted, shadowRejections, inUse, spared) => {
      const policy = shadowBulkhead({ maxConcurrent: 2 });
      const load = new Load(policy);
      await load.play(steps);
      expect(load.running).toBe(running);
      const expected = { accepted, rejected: 0, inUse, spared, shadowRejections };
      expect(figures(policy.snapshot())).toEqual(expected);
      expect(told()).toEqual(Array(shadowRejections).fill('bulkhead.spared'));
    },
  );

  it.each(['++-+++-=+++--=--++', '+++++-----+', '+=+=++++==+'])(
    '%s: rejects on paper what one that enforces rejects',
    async (steps) => {
      const shadow = shadowBulkhead({ maxConcurrent: 2 });
      const load = new Load(shadow);
      let free = 2;
      const onSlot: boolean[] = [];
      let wouldReject = 0;
      for (const step of steps) {
        await load.play(step);
        if (step === '+') {
          onSlot.push(free > 0);
          if (free > 0) free--;
          else wouldReject++;
        } else if (step === '-' ? onSlot.shift() : onSlot.pop()) free++;
        expect(shadow.snapshot()).toMatchObject({
          inUse: 2 - free,
          spared: onSlot.filter((slot) => !slot).length,
          shadowRejections: wouldReject,
        });
      }
    },
  );

  it('keeps a synchronous function synchronous', () => {
    const policy = shadowBulkhead({ maxConcurrent: 1 });
    const inner = policy.wrap(() => 'inner');
    expect(policy.wrap(() => inner())()).toBe('inner');
    expect(policy.snapshot()).toMatchObject({ inUse: 0, spared: 0, shadowRejections: 1 });
  });

  it('holds nobody in its queue: a call that would wait starts in a place of the queue', async () => {
    const policy = shadowBulkhead({ maxConcurrent: 1, maxQueue: 2, queueTimeout: 10 });
    const load = new Load(policy);
    await load.play('++++');
    await lab.clock.advance(100);
    expect(load.running).toBe(4);
    expect(policy.snapshot()).toMatchObject({
      calls: { accepted: 3, rejected: 0, queue_timeout: 0 },
      inUse: 3,
      queued: 0,
      spared: 1,
      shadowRejections: 1,
    });
    await load.play('----');
    expect(policy.snapshot()).toMatchObject({ inUse: 0, spared: 0 });
  });

  it.each([0, 1])(
    'counts a spared call as running until its work has ended, with a queue of %i',
    async (maxQueue) => {
      const limit = timeLimit(5, { runtime });
      const policy = shadowBulkhead({ maxConcurrent: 1, maxQueue });
      const load = new Load(pipeline(policy, limit));
      await load.play('+'.repeat(maxQueue + 2));
      await lab.clock.advance(5);
      expect(limit.snapshot().calls.timed_out).toBe(maxQueue + 2);
      expect(policy.snapshot()).toMatchObject({ inUse: maxQueue + 1, spared: 1 });
      await load.play('-'.repeat(maxQueue + 2));
      expect(policy.snapshot()).toMatchObject({ inUse: 0, spared: 0 });
    },
  );

  it.each(['value', 'error'])('hands on the %s of a spared call', async (ending) => {
    const policy = shadowBulkhead({ maxConcurrent: 1 });
    await new Load(policy).play('+');
    const work = ending === 'value' ? () => 'fine' : () => Promise.reject(down);
    expect(await settled(policy.execute<string>(work))).toEqual(
      ending === 'value' ? { value: 'fine' } : { error: down },
    );
    expect(policy.snapshot()).toMatchObject({ inUse: 1, spared: 0, shadowRejections: 1 });
  });
});

describe('R73 a rate limit in shadow mode', () => {
  it('starts every call and counts those beyond the limit', async () => {
    const policy = shadowRate({ limit: 2, interval: 1000 });
    for (let call = 0; call < 5; call++) expect(await policy.execute(() => call)).toBe(call);
    expect(policy.snapshot()).toMatchObject({
      calls: { permitted: 2, waited: 0, rejected: 0 },
      shadowRejections: 3,
      tokens: 0,
    });
    expect(events.map(({ type, name }) => [type, name])).toEqual(
      Array(3).fill(['rate-limit.spared', 'partner']),
    );
    expect(events[0]).toMatchObject({ retryAfter: 500, policy: 'rateLimit:partner' });
  });

  it('takes no token for a spared call: the next one comes as if it had been turned away', async () => {
    const policy = shadowRate({ limit: 1, interval: 100 });
    for (let call = 0; call < 10; call++) await policy.execute(() => call);
    lab.clock.jump(100);
    expect(policy.snapshot().tokens).toBe(1);
    await policy.execute(() => 'with a token');
    expect(policy.snapshot()).toMatchObject({ calls: { permitted: 2 }, shadowRejections: 9 });
  });

  it('hands on what becomes of a call beyond the limit, whatever stands around it', async () => {
    const policy = shadowRate({ limit: 1, interval: 1000 });
    await policy.execute(() => 'the token');
    const gates = pipeline(policy, shadowBulkhead({}));
    for (const around of [policy, gates, pipeline(timeLimit(5, { runtime }), policy)]) {
      expect(await settled(around.execute(() => Promise.reject(down)))).toEqual({ error: down });
      expect(await settled(around.execute(() => 'value'))).toEqual({ value: 'value' });
    }
    expect(policy.snapshot().shadowRejections).toBe(6);
  });

  it('keeps a synchronous function synchronous', () => {
    const wrapped = shadowRate({ limit: 1, interval: 100 }).wrap((n: number) => n);
    expect([wrapped(1), wrapped(2)]).toEqual([1, 2]);
  });

  it.each([
    // maxWait, waited, spared
    [250, 2, 2],
    [400, 4, 0],
    [99, 0, 4],
  ])(
    'with a maxWait of %i ms nobody waits, and %i of four calls would have',
    async (maxWait, waited, shadowRejections) => {
      const policy = shadowRate({ limit: 10, interval: 1000, burst: 1, maxWait });
      const calls = [0, 1, 2, 3, 4].map((call) => policy.execute(() => call));
      expect(await Promise.all(calls)).toEqual([0, 1, 2, 3, 4]);
      expect(lab.clock.pendingTimers).toBe(0);
      expect(policy.snapshot()).toMatchObject({
        calls: { permitted: 1, waited, rejected: 0 },
        tokens: 0,
        queued: 0,
        shadowRejections,
      });
    },
  );
});

describe('R73 a rate limit whose mode changes from within', () => {
  it('turns away a call that it counts so, where a listener turns to shadow mode', async () => {
    const lab = new Lab();
    const events = new EventHub(() => lab.clock.wallTime(), lab.logger);
    const runtime = { ...lab.runtime, events };
    const policy = rateLimit({ limit: 1, interval: 1000 }, { runtime });
    const waiting = rateLimit({ limit: 1, interval: 1000, maxWait: 1 }, { runtime });
    for (const limit of [policy, waiting]) {
      const stop = events.listen(() => limit.configure({ mode: 'shadow' }));
      await limit.execute(() => 'the token');
      expect(await settled(limit.execute(() => 'more'))).toMatchObject({
        error: { code: 'RATE_LIMITED' },
      });
      expect(limit.snapshot()).toMatchObject({ calls: { rejected: 1 }, shadowRejections: 0 });
      expect(await limit.execute(() => 'spared')).toBe('spared');
      stop();
    }
  });

  it('starts no more of those that wait, where the first turns shadow mode off again', async () => {
    const lab = new Lab();
    const limit = rateLimit({ limit: 1, interval: 1000, maxWait: '1m' }, { runtime: lab.runtime });
    await limit.execute(() => 'the token');
    const started: number[] = [];
    for (const each of [1, 2, 3]) {
      void limit.execute(() => {
        started.push(each);
        if (each === 1) limit.configure({ mode: 'enforce' });
      });
    }
    limit.configure({ mode: 'shadow' });
    expect(started).toEqual([1]);
    await lab.clock.runAll();
    expect(started).toEqual([1, 2, 3]);
  });
});

describe('R73 a time limit in shadow mode', () => {
  it.each([
    ['value', 20, 'late'],
    ['error', 20, down],
  ])('lets a late %s come through', async (_kind, time, result) => {
    const policy = shadowLimit(10);
    const running = policy.execute(async () => {
      await after(time, undefined);
      if (result === down) throw down;
      return result;
    });
    expect(await lab.outcomeOf(running)).toEqual(
      result === down ? { error: down } : { value: result },
    );
    expect(policy.snapshot()).toMatchObject({
      calls: { in_time: 0, timed_out: 0, would_time_out: 1 },
      late: { successes: 0, failures: 0 },
      abandoned: 0,
    });
  });

  it('tells at the limit, also of work that never ends', async () => {
    const policy = shadowLimit(10);
    void policy.execute(() => new Promise(() => undefined));
    await lab.clock.advance(9);
    expect(told()).toEqual([]);
    await lab.clock.advance(1);
    expect(events).toMatchObject([
      { type: 'time-limit.spared', policy: 'timeLimit:page', limit: 10 },
    ]);
    expect(policy.snapshot().calls.would_time_out).toBe(1);
  });

  it('counts a call in time as one, and leaves no timer that keeps the process alive', async () => {
    const policy = shadowLimit(10);
    expect(await lab.resultOf(policy.execute(() => after(9, 'early')))).toBe('early');
    await lab.clock.advance(100);
    expect(policy.snapshot().calls).toEqual({ in_time: 1, timed_out: 0, would_time_out: 0 });
    expect(lab.clock.pendingTimers).toBe(0);
  });

  it('sets no deadline and aborts no signal', async () => {
    const policy = shadowLimit(10);
    const seen: unknown[] = [];
    const wrapped = policy.wrap(async () => {
      const signal = currentSignal();
      seen.push(remainingTime());
      await after(50, undefined);
      seen.push(signal?.aborted ?? false);
    });
    await lab.resultOf(wrapped());
    expect(seen).toEqual([undefined, false]);
  });

  it('lets a retry inside go on past it, under the limit outside alone', async () => {
    const outer = timeLimit(1000, { runtime });
    const policy = pipeline(
      outer,
      shadowLimit(10),
      retry({ baseDelay: 50, jitter: 0 }, { runtime }),
    );
    const running = policy.execute(({ attempt }) => {
      if (attempt < 3) throw down;
      return remainingTime() ?? attempt;
    });
    expect(await lab.resultOf(running)).toBe(850);
  });

  it('is nothing to a limit that enforces inside it', async () => {
    const policy = pipeline(shadowLimit(10), timeLimit(30, { runtime }));
    const error = await lab.errorOf(policy.execute(() => new Promise(() => undefined)));
    expect(error).toEqual(new TimeoutError(30));
  });
});

describe('R73 the mode', () => {
  it.each([
    ['bulkhead', () => bulkhead({ mode: 'off' as never })],
    ['rateLimit', () => rateLimit({ limit: 1, interval: 1, mode: 'off' as never })],
    ['timeLimit', () => timeLimit({ limit: 1, mode: 'off' as never })],
  ])('of a %s is one of two', (kind, make) => {
    expect(make).toThrow(`${kind}(${kind}).mode must be one of "enforce", "shadow"`);
  });

  it.each([bulkhead(), rateLimit({ limit: 1, interval: 1 }), timeLimit(1)])(
    'is to enforce by default',
    ({ options }) => {
      expect(options.mode).toBe('enforce');
    },
  );

  it('tells nobody and counts all the same when nobody listens', async () => {
    const policy = bulkhead({ maxConcurrent: 1, mode: 'shadow' }, { runtime: lab.runtime });
    await new Load(policy).play('++');
    expect(policy.snapshot()).toMatchObject({ shadowRejections: 1 });
    expect(events).toEqual([]);
  });
});
