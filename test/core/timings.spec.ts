import {
  CircuitBreaker,
  KeyedCircuitBreakers,
  Policy,
  bulkhead,
  fallback,
  hedge,
  pipeline,
  rateLimit,
  retry,
  timeLimit,
} from 'nestjs-bulwark/core';
import { FakeClock } from 'nestjs-bulwark/testing';
import type { PolicySnapshot } from '../../lib/core/policy.js';

type Mode = 'off' | 'sampled' | 'all';

const kinds: [string, (timings: Mode, clock: FakeClock) => Policy][] = [
  [
    'circuit breaker',
    (timings, clock) => new CircuitBreaker('b', { timings }, { runtime: { clock } }),
  ],
  ['retry', (timings, clock) => retry({ timings }, { runtime: { clock } })],
  ['time limit', (timings, clock) => timeLimit({ limit: '1m', timings }, { runtime: { clock } })],
  ['bulkhead', (timings, clock) => bulkhead({ timings }, { runtime: { clock } })],
  [
    'rate limit',
    (timings, clock) => rateLimit({ limit: 1000, interval: 1, timings }, { runtime: { clock } }),
  ],
  ['fallback', (timings, clock) => fallback(() => 0, { timings }, { runtime: { clock } })],
  ['hedge', (timings, clock) => hedge({ delay: '1m', timings }, { runtime: { clock } })],
];

async function callTimes(policy: Policy, clock: FakeClock, durations: number[]): Promise<void> {
  for (const duration of durations) {
    const done = policy.execute(
      () => new Promise<void>((resolve) => void clock.setTimeout(resolve, duration)),
    );
    await clock.advance(duration);
    await done;
  }
}

/** As an application may write one. */
class Own extends Policy {
  readonly kind = 'own';
  readonly name = 'own';
  readonly options = { timings: 'all' };
  stages(): [] {
    return [];
  }
  snapshot(): PolicySnapshot {
    return { id: this.id, kind: this.kind, name: this.name, options: this.options };
  }
}

describe.each(kinds)('R85: timings of a %s', (_kind, make) => {
  it('are off by default and then cost and tell nothing', async () => {
    const clock = new FakeClock();
    const policy = make('off', clock);
    await callTimes(policy, clock, [10]);
    expect(policy.timings).toBeUndefined();
  });

  it('all: nothing before the first call has ended', () => {
    const policy = make('all', new FakeClock());
    void policy.execute(() => new Promise(() => undefined));
    expect(policy.timings).toEqual({ count: 0, p50: 0, p90: 0, p99: 0 });
  });

  it('all: each call, to 12.5%', async () => {
    const clock = new FakeClock();
    const policy = make('all', clock);
    await callTimes(policy, clock, [10, 10, 10, 10, 10, 10, 10, 10, 10, 100]);
    const { count, p50, p99 } = policy.timings ?? { count: 0, p50: 0, p99: 0 };
    expect(count).toBe(10);
    expect(p50).toBeGreaterThan(8.75);
    expect(p50).toBeLessThan(11.25);
    expect(p99).toBeGreaterThan(87.5);
    expect(p99).toBeLessThan(112.5);
  });

  it('sampled: the first call and then one in 17', async () => {
    const clock = new FakeClock();
    const policy = make('sampled', clock);
    const counts: (number | undefined)[] = [];
    for (const calls of [1, 16, 1, 16, 1]) {
      await callTimes(policy, clock, Array<number>(calls).fill(1));
      counts.push(policy.timings?.count);
    }
    expect(counts).toEqual([1, 1, 2, 2, 3]);
  });
});

describe('R85: timings', () => {
  it('count failures, and calls that throw at once', async () => {
    const breaker = new CircuitBreaker('b', { timings: 'all' });
    await breaker.execute(() => Promise.reject(new Error('down'))).catch(() => undefined);
    expect(() =>
      breaker.executeSync(() => {
        throw new Error('down');
      }),
    ).toThrow('down');
    expect(breaker.executeSync(() => 1)).toBe(1);
    expect(breaker.timings?.count).toBe(3);
  });

  it('keep the kind of a synchronous refusal, and of a promised one', async () => {
    const breaker = new CircuitBreaker('b', { timings: 'all' });
    breaker.isolate();
    expect(() => breaker.executeSync(() => 1)).toThrow('isolated');
    await expect(breaker.execute(() => 1)).rejects.toThrow('isolated');
  });

  it('of a part of a pipeline are its own', async () => {
    const clock = new FakeClock();
    const runtime = { clock };
    const inner = new CircuitBreaker('b', { timings: 'all' }, { runtime });
    const outer = retry({ timings: 'all', baseDelay: 50, jitter: 0 }, { runtime });
    let failures = 1;
    const done = pipeline(outer, inner).execute(async () => {
      if (failures-- > 0) throw new Error('once');
    });
    await clock.advance(50);
    await done;
    expect(inner.timings).toMatchObject({ count: 2, p99: 0 });
    expect(outer.timings?.count).toBe(1);
    expect(outer.timings?.p50).toBeGreaterThan(43.75);
  });

  it('of a keyed family are of all its keys, wherever it is used', async () => {
    const clock = new FakeClock();
    const family = new KeyedCircuitBreakers('tenants', { timings: 'all' }, { runtime: { clock } });
    const call = async (tenant: string): Promise<string> => tenant;
    await family.by((tenant: string) => tenant).wrap(call)('a');
    const byFirst = family.by((tenant: string) => tenant.charAt(0));
    await byFirst.wrap(call)('b');
    await family.wrap(call)('c');
    expect(family.timings?.count).toBe(3);
    expect(byFirst.timings).toEqual(family.timings);
  });

  it('of a keyed family may be set from outside, and cannot change', async () => {
    const family = new KeyedCircuitBreakers('tenants', {}, { timings: 'all' });
    await family.by(() => 'a').execute(() => 1);
    expect(family.timings?.count).toBe(1);
    expect(() => family.configure({ timings: 'sampled' })).toThrow('timings cannot change');
  });

  it("of a policy of one's own need no setting", async () => {
    const policy = new Own();
    await policy.execute(() => 'fine');
    expect(policy.timings?.count).toBe(1);
  });

  it('refuse an unknown mode', () => {
    expect(() => retry({ timings: 'always' as 'all' })).toThrow('timings must be one of');
  });
});
