import fc from 'fast-check';
import { jest } from '@jest/globals';
import { CircuitBreakerRegistry, ResilienceModule } from 'nestjs-bulwark';
import {
  CircuitBreaker,
  type CircuitBreakerOptions,
  type Permit,
  ResilienceConfigError,
} from 'nestjs-bulwark/core';
import { Lab, down, play, thrownBy } from '../support/lab.js';
import { closeAll, start } from '../nest/support/applications.js';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(closeAll);

const breakerWith = (options?: CircuitBreakerOptions): CircuitBreaker =>
  new CircuitBreaker('payments', options, { runtime: lab.runtime });

function record(breaker: CircuitBreaker, history: string): string {
  for (const letter of history) settleAs(breaker.tryAcquire(), letter);
  return breaker.state;
}
function settleAs(permit: Permit | undefined, letter: string): void {
  if (letter === 's') permit?.success();
  if (letter === 'f') permit?.failure(down);
  if (letter === 'i') permit?.release();
}

describe('R75 configure', () => {
  it('changes what it names and keeps the rest', () => {
    const breaker = breakerWith({ failureThreshold: 7, recoveryTimeout: '5s' });
    breaker.configure({ halfOpenMaxCalls: 9 });
    breaker.configure({ recoveryTimeout: '8s' });
    expect(breaker.options).toMatchObject({
      failureThreshold: 7,
      recoveryTimeout: 8000,
      halfOpenMaxCalls: 9,
      probeTimeout: 8000, // a default that follows another option goes on following it
    });
    expect(Object.isFrozen(breaker.options)).toBe(true);
  });

  it('takes an undefined option for an absent one, as everywhere', () => {
    const breaker = breakerWith({ failureThreshold: 7, rampUp: { duration: 5 } });
    breaker.configure({ failureThreshold: undefined, rampUp: undefined, successThreshold: 4 });
    expect(breaker.options).toMatchObject({
      failureThreshold: 7,
      rampUp: { duration: 5, from: 0.1 },
      successThreshold: 4,
    });
  });

  it('takes no change at all', () => {
    const breaker = breakerWith({ failureThreshold: 7 });
    const { options } = breaker;
    breaker.configure({});
    breaker.configure(undefined as unknown as CircuitBreakerOptions);
    expect(breaker.options).toEqual(options);
  });

  it('cannot change whether it has timings, and says so with every other problem', () => {
    const breaker = breakerWith({ timings: 'sampled' });
    const changes = { timings: 'all', failureThreshold: 0 } as const;
    expect(thrownBy(() => breaker.configure(changes))).toMatchObject({
      issues: [
        expect.stringContaining('failureThreshold must be') as unknown,
        'circuitBreaker(payments).timings cannot change while the policy works, got "all"',
      ],
    });
    expect(() => breakerWith().configure({ timings: 'all' })).toThrow('timings cannot change');
    breaker.configure({ timings: 'sampled', failureThreshold: 2 });
    expect(breaker.options.failureThreshold).toBe(2);
  });

  it('works before the first call, and shows in snapshot and description', () => {
    const breaker = breakerWith();
    breaker.configure({ failureThreshold: 1 });
    expect(breaker.snapshot().options).toMatchObject({ failureThreshold: 1 });
    expect(breaker.describe()[0]?.options).toMatchObject({ failureThreshold: 1 });
    expect(record(breaker, 'f')).toBe('open');
  });

  it('reaches functions that are wrapped already', async () => {
    const breaker = breakerWith({ failureThreshold: 1 });
    const wrapped = breaker.protect((fails: boolean) => {
      if (fails) throw down;
      return 'fine';
    });
    breaker.configure({ failureThreshold: 2, ignoreExceptions: TypeError });
    expect(() => wrapped(true)).toThrow(down);
    expect(wrapped(false)).toBe('fine');
    expect(breaker.state).toBe('closed');
  });

  it('R32 changes this breaker alone, though all without options share their defaults', () => {
    const other = breakerWith();
    breakerWith().configure({ failureThreshold: 1 });
    expect(other.options.failureThreshold).toBe(5);
    expect(breakerWith().options.failureThreshold).toBe(5);
  });

  it('R80 does not touch what it was given', () => {
    const given: CircuitBreakerOptions = { failureThreshold: 3 };
    const change = Object.freeze({ failureThreshold: 4 });
    const breaker = breakerWith(given);
    breaker.configure(change);
    expect(given).toEqual({ failureThreshold: 3 });
    expect(change).toEqual({ failureThreshold: 4 });
  });
});

describe('R75 a bad change changes nothing', () => {
  const everyState: [string, string][] = [
    ['closed', 'sf'],
    ['open', 'ff'],
    ['half_open', 'ffws'],
    ['isolated', 'f'],
    ['disabled', 'f'],
  ];

  it.each(everyState)('while %s', async (state, history) => {
    const onStateChange = jest.fn();
    const breaker = breakerWith({ failureThreshold: 2, onStateChange });
    await play(breaker, history, lab);
    if (state === 'isolated') breaker.isolate();
    if (state === 'disabled') breaker.disable();
    onStateChange.mockClear();
    const before = breaker.snapshot();
    expect(before.state).toBe(state);
    const bad = { failureThreshold: 9, successThreshold: 0, recoveryTimout: 5 } as object;
    const error = thrownBy(() => breaker.configure(bad)) as ResilienceConfigError;
    expect(error).toBeInstanceOf(ResilienceConfigError);
    expect(error.issues).toEqual([
      expect.stringContaining('circuitBreaker(payments).recoveryTimout is not a known option'),
      expect.stringContaining('circuitBreaker(payments).successThreshold must be'),
    ]);
    expect(breaker.snapshot()).toEqual(before);
    expect(breaker.options).toBe(before.options);
    expect(onStateChange).not.toHaveBeenCalled();
  });

  it.each<[string, CircuitBreakerOptions, unknown, string]>([
    ['that fits no other option', {}, { window: { type: 'count', size: 3, minimumCalls: 4 } }, ''],
    ['inside a nested option', {}, { rampUp: { duration: -1 } }, 'rampUp.duration'],
    ['that is nothing', {}, null, 'must be an object'],
    ['that is a word', {}, 'fast', 'must be an object'],
    ['that is a list', {}, [], 'must be an object'],
  ])('%s', (_what, options, change, problem) => {
    const breaker = breakerWith(options);
    const before = breaker.options;
    const error = thrownBy(() => breaker.configure(change as CircuitBreakerOptions));
    expect(error).toBeInstanceOf(ResilienceConfigError);
    expect((error as Error).message).toContain('circuitBreaker(payments)');
    expect((error as Error).message).toContain(problem);
    expect(breaker.options).toBe(before);
  });
});

describe('R75 state and statistics are kept', () => {
  it.each<[string, string, string]>([
    ['closed', 'sfif', 'closed'],
    ['open', 'fffs', 'open'],
    ['half-open', 'fffwsh', 'half_open'],
  ])('while %s', async (_state, history, state) => {
    const breaker = breakerWith({ failureThreshold: 3, successThreshold: 2 });
    await play(breaker, history, lab);
    const before = { ...breaker.snapshot(), options: {} };
    breaker.configure({
      failureThreshold: 4,
      successThreshold: 3,
      recoveryTimeout: '1h',
      isFailure: () => false,
      captureStack: true,
    });
    const after = { ...breaker.snapshot(), options: {} };
    expect(after).toEqual(before);
    expect(after.state).toBe(state);
  });

  it('an open circuit keeps the time that it was given; the next opening takes the new one', async () => {
    const breaker = breakerWith({ failureThreshold: 1, recoveryTimeout: '10s' });
    record(breaker, 'f');
    breaker.configure({ recoveryTimeout: '1m' });
    expect(breaker.remainingTimeout).toBe(10_000);
    lab.clock.jump(10_000);
    record(breaker, 'f');
    expect(breaker.remainingTimeout).toBe(60_000);
  });

  it('failures in a row count on under another threshold', () => {
    const breaker = breakerWith({ failureThreshold: 5 });
    record(breaker, 'fff');
    breaker.configure({ failureThreshold: 2 });
    expect(breaker.state).toBe('closed'); // calls decide, not changes
    expect(record(breaker, 's')).toBe('closed');
    expect(record(breaker, 'ff')).toBe('open');
    const other = breakerWith({ failureThreshold: 3 });
    record(other, 'ff');
    other.configure({ failureThreshold: 4 });
    expect(record(other, 'f')).toBe('closed');
    expect(record(other, 'f')).toBe('open');
  });

  it.each<[string, CircuitBreakerOptions, CircuitBreakerOptions, string, string]>([
    [
      'a count window with another rate keeps its calls',
      { window: { type: 'count', size: 4, minimumCalls: 4, failureRate: 1 } },
      { window: { type: 'count', size: 4, minimumCalls: 4, failureRate: 0.5 } },
      'ffs',
      's',
    ],
    [
      'a time window with another minimum keeps its calls',
      { window: { type: 'time', duration: '10s', minimumCalls: 100 } },
      { window: { type: 'time', duration: '10s', minimumCalls: 3 } },
      'ff',
      'f',
    ],
    [
      'a window that goes on beside another option keeps its calls',
      { window: { type: 'count', size: 4, minimumCalls: 3 } },
      { recoveryTimeout: 5 },
      'ff',
      'f',
    ],
    [
      'failures in a row are known to a window that counts them from now on',
      { window: { type: 'count', size: 10, minimumCalls: 10 } },
      { window: { type: 'consecutive' }, failureThreshold: 3 },
      'ff',
      'f',
    ],
  ])('%s', (_what, options, change, before, last) => {
    const breaker = breakerWith(options);
    expect(record(breaker, before)).toBe('closed');
    breaker.configure(change);
    expect(breaker.state).toBe('closed');
    expect(record(breaker, last)).toBe('open');
  });

  it.each<[string, CircuitBreakerOptions, CircuitBreakerOptions]>([
    [
      'another size',
      { window: { type: 'count', size: 4, minimumCalls: 3 } },
      { window: { type: 'count', size: 5, minimumCalls: 3 } },
    ],
    [
      'another duration',
      { window: { type: 'time', duration: '10s', minimumCalls: 3 } },
      { window: { type: 'time', duration: '20s', minimumCalls: 3 } },
    ],
    [
      'another kind',
      { window: { type: 'count', size: 4, minimumCalls: 3 } },
      { window: { type: 'time', duration: '10s', minimumCalls: 3 } },
    ],
    [
      'rates in place of a row',
      { failureThreshold: 3 },
      { window: { type: 'count', size: 3, minimumCalls: 3 } },
    ],
  ])('a window of %s starts empty, and totals stay', (_what, options, change) => {
    const breaker = breakerWith(options);
    record(breaker, 'ff');
    breaker.configure(change);
    expect(record(breaker, 'ff')).toBe('closed');
    expect(breaker.stats).toMatchObject({ failedCalls: 4, consecutiveFailures: 4 });
    expect(record(breaker, 'f')).toBe('open');
  });

  it('calls in flight settle on the breaker, under the rules of their end', () => {
    const breaker = breakerWith({ failureThreshold: 3 });
    const permits = [1, 2, 3].map(() => breaker.tryAcquire());
    breaker.configure({ failureThreshold: 2, window: { type: 'consecutive' } });
    expect(breaker.stats.inFlight).toBe(3);
    permits[0]?.failure(down);
    permits[1]?.failure(down);
    expect(breaker.state).toBe('open');
    permits[2]?.success();
    expect(breaker.stats).toMatchObject({ inFlight: 0, failedCalls: 2, successfulCalls: 1 });
  });

  it('a call that was timed is slow, or not, by the limit of its end', () => {
    const slow = (slowCallDuration: number): CircuitBreakerOptions => ({
      window: {
        type: 'count',
        size: 3,
        minimumCalls: 1,
        failureRate: 1,
        slowCallRate: 1,
        slowCallDuration,
      },
    });
    const breaker = breakerWith(slow(1000));
    const permit = breaker.tryAcquire();
    lab.clock.jump(500);
    breaker.configure(slow(100));
    permit?.success();
    expect(breaker.state).toBe('open');
  });

  it('a call that was not timed is not slow once calls are timed', () => {
    const window = { type: 'count', size: 3, minimumCalls: 1, failureRate: 1 } as const;
    const breaker = breakerWith({ window });
    const permit = breaker.tryAcquire();
    lab.clock.jump(500);
    breaker.configure({ window: { ...window, slowCallRate: 1, slowCallDuration: 100 } });
    permit?.success();
    expect(breaker.state).toBe('closed');
  });
});

describe('R75 half-open', () => {
  const halfOpen = async (options: CircuitBreakerOptions, probes: string) => {
    const breaker = breakerWith({ failureThreshold: 1, ...options });
    await play(breaker, 'fwi', lab);
    record(breaker, probes);
    expect(breaker.state).toBe('half_open');
    return breaker;
  };

  it('keeps probes in flight and results', async () => {
    const breaker = await halfOpen({ successThreshold: 3, halfOpenMaxCalls: 2 }, 's');
    const probe = breaker.tryAcquire();
    breaker.configure({ halfOpenMaxCalls: 1, successThreshold: 2 });
    expect(breaker.tryAcquire()).toBeUndefined();
    probe?.success();
    expect(breaker.state).toBe('closed');
  });

  it('a shorter probeTimeout frees the place of a probe that is older', async () => {
    const breaker = await halfOpen({ halfOpenMaxCalls: 1 }, '');
    breaker.tryAcquire();
    lab.clock.jump(200);
    expect(breaker.tryAcquire()).toBeUndefined();
    breaker.configure({ probeTimeout: 100 });
    expect(breaker.tryAcquire()).toBeDefined();
  });

  it.each<[string, CircuitBreakerOptions, string, CircuitBreakerOptions, string]>([
    ['fewer successes needed', { successThreshold: 9 }, 'sss', { successThreshold: 2 }, 'closed'],
    [
      'fewer results needed',
      { halfOpenMaxCalls: 10, halfOpenFailureRate: 0.5 },
      'ssss',
      { halfOpenMaxCalls: 4 },
      'closed',
    ],
    [
      'fewer results needed, of which too many failed',
      { halfOpenMaxCalls: 10, halfOpenFailureRate: 0.5 },
      'sffs',
      { halfOpenMaxCalls: 4 },
      'open',
    ],
    [
      'a rate in place of a row',
      { successThreshold: 9 },
      'ssss',
      { halfOpenMaxCalls: 3, halfOpenFailureRate: 0.5 },
      'closed',
    ],
    [
      'a lower rate',
      { halfOpenMaxCalls: 10, halfOpenFailureRate: 0.5 },
      'fff',
      { halfOpenFailureRate: 0.2 },
      'open',
    ],
  ])('R13 is not stuck by %s: the next call finds it decided', async (...row) => {
    const [, options, probes, change, state] = row;
    const breaker = await halfOpen(options, probes);
    breaker.configure(change);
    expect(breaker.state).toBe('half_open'); // calls decide, not changes
    const permit = breaker.tryAcquire();
    expect(breaker.state).toBe(state);
    expect(permit === undefined).toBe(state === 'open');
    permit?.success();
    const { totalCalls, successfulCalls, failedCalls, rejectedCalls, ignoredCalls } = breaker.stats;
    expect(totalCalls).toBe(successfulCalls + failedCalls + rejectedCalls + ignoredCalls);
  });
});

describe('R75 the listener', () => {
  it('of the options is replaced, those that were added stay', () => {
    const [first, second, added] = [jest.fn(), jest.fn(), jest.fn()];
    const breaker = breakerWith({ failureThreshold: 1, onStateChange: first });
    breaker.onStateChange(added);
    breaker.configure({ onStateChange: second });
    record(breaker, 'f');
    expect([first, second, added].map(({ mock }) => mock.calls.length)).toEqual([0, 1, 1]);
  });

  it('stays where a change does not name it', () => {
    const listener = jest.fn();
    const breaker = breakerWith({ failureThreshold: 5, onStateChange: listener });
    breaker.configure({ failureThreshold: 1 });
    record(breaker, 'f');
    expect(listener).toHaveBeenCalledTimes(1);
  });

  it('may change the options itself', () => {
    const breaker: CircuitBreaker = breakerWith({
      failureThreshold: 1,
      onStateChange: ({ to }) => {
        if (to === 'open') breaker.configure({ recoveryTimeout: 5, failureThreshold: 3 });
      },
    });
    record(breaker, 'f');
    expect(breaker.state).toBe('open');
    expect(breaker.options).toMatchObject({ recoveryTimeout: 5, failureThreshold: 3 });
  });
});

describe('R75 during load', () => {
  const changes = fc.record<CircuitBreakerOptions>(
    {
      failureThreshold: fc.integer({ min: 0, max: 4 }), // 0 is refused
      successThreshold: fc.integer({ min: 1, max: 4 }),
      halfOpenMaxCalls: fc.integer({ min: 1, max: 4 }),
      halfOpenFailureRate: fc.constantFrom(0.1, 0.5, 1),
      recoveryTimeout: fc.constantFrom(0, 10, 100),
      recoveryBackoff: fc.constant({ factor: 2, max: 100 }),
      probeTimeout: fc.constantFrom(1, 50),
      rampUp: fc.constant({ duration: 20 }),
      mode: fc.constantFrom('enforce', 'shadow'),
      window: fc.constantFrom(
        { type: 'consecutive' },
        { type: 'count', size: 3, minimumCalls: 2 },
        { type: 'time', duration: 50, minimumCalls: 2, slowCallRate: 0.5, slowCallDuration: 5 },
      ),
    },
    { requiredKeys: [] },
  );
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom('s', 'f', 'i') },
    { weight: 6, arbitrary: fc.constant('start') },
    { weight: 4, arbitrary: fc.constantFrom('reset', 1, 10, 100) },
    { weight: 4, arbitrary: changes },
  );

  it('loses no statistic and no permit, and leaves no breaker stuck', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 10, maxLength: 80, size: 'max' }), (steps) => {
        lab = new Lab();
        let seed = 1;
        const random = (): number => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647;
        const breaker = new CircuitBreaker('load', {}, { runtime: { ...lab.runtime, random } });
        const running: Permit[] = [];
        const counted = { s: 0, f: 0, i: 0, rejected: 0 };
        const take = (each: (typeof steps)[number]): void => {
          if (each === 'reset') breaker.reset();
          else if (typeof each === 'number') lab.clock.jump(each);
          else if (typeof each === 'object') configure(breaker, each);
          else if (each === 'start') {
            const permit = breaker.tryAcquire();
            if (permit) running.push(permit);
            else counted.rejected++;
          } else {
            const permit = running.shift();
            if (permit) counted[each as 's']++;
            settleAs(permit, each);
          }
        };
        for (const each of steps) {
          take(each);
          const { stats } = breaker;
          same(stats.successfulCalls, counted.s);
          same(stats.failedCalls, counted.f);
          same(stats.ignoredCalls, counted.i);
          same(stats.rejectedCalls, counted.rejected);
          same(stats.inFlight, running.length);
          same(
            stats.totalCalls,
            counted.s + counted.f + counted.i + counted.rejected + running.length,
          );
          const spent = Object.values(breaker.snapshot().timeInStates);
          same(
            spent.reduce((sum, ms) => sum + ms, 0),
            lab.clock.now(),
          );
        }
        // R13: a dependency that is well again closes it.
        for (let call = 0; call < 20; call++) {
          lab.clock.jump(100_000);
          breaker.tryAcquire()?.success();
        }
        if (breaker.state !== 'closed') throw new Error(`stuck ${breaker.state}`);
      }),
      { numRuns: 3000 },
    );
  });
});

/** A bad change must change nothing. */
function configure(breaker: CircuitBreaker, change: CircuitBreakerOptions): void {
  const before = breaker.options;
  const { state } = breaker;
  try {
    breaker.configure(change);
    if (change.failureThreshold === 0) throw new Error('a bad change was taken');
  } catch (error) {
    if (!(error instanceof ResilienceConfigError)) throw error;
    same(breaker.options, before);
  }
  same(breaker.state, state);
}

function same(actual: unknown, expected: unknown): void {
  if (!Object.is(actual, expected)) throw new Error(`${String(actual)}, not ${String(expected)}`);
}

describe('R75 registry.configure', () => {
  const registryOf = async (): Promise<CircuitBreakerRegistry> => {
    const module = ResilienceModule.forRoot({
      runtime: lab.runtime,
      defaults: { circuitBreaker: { successThreshold: 4 } },
      circuitBreakers: {
        payments: { failureThreshold: 2 },
        stock: { failureThreshold: 3 },
        tenants: { failureThreshold: 4, maxKeys: 5 },
      },
    });
    const app = await start({ imports: [module] });
    return app.get(CircuitBreakerRegistry);
  };

  it('changes several breakers and keeps their state', async () => {
    const registry = await registryOf();
    record(registry.get('payments'), 'ff');
    registry.configure({ payments: { failureThreshold: 7 }, stock: { recoveryTimeout: '2s' } });
    expect(registry.get('payments').state).toBe('open');
    expect(registry.get('payments').options).toMatchObject({
      failureThreshold: 7,
      successThreshold: 4,
    });
    expect(registry.get('stock').options).toMatchObject({
      failureThreshold: 3,
      recoveryTimeout: 2000,
    });
  });

  it('changes none where one change is bad or a name is unknown, and tells every problem', async () => {
    const registry = await registryOf();
    const error = thrownBy(() =>
      registry.configure({
        payments: { failureThreshold: 7 },
        stock: { failureThreshold: 0, successThreshold: 0 },
        paymets: { failureThreshold: 7 },
      }),
    ) as ResilienceConfigError;
    expect(error).toBeInstanceOf(ResilienceConfigError);
    expect(error.issues).toHaveLength(3);
    expect(error.message).toContain('circuitBreaker(stock).failureThreshold');
    expect(error.message).toContain('circuitBreaker(stock).successThreshold');
    expect(error.message).toContain('paymets');
    expect(error.message).toContain('payments');
    expect(registry.get('payments').options.failureThreshold).toBe(2);
    expect(registry.get('stock').options.failureThreshold).toBe(3);
  });

  it('reaches the keyed breakers of a name, those made before and after', async () => {
    const registry = await registryOf();
    const family = registry.keyed('tenants');
    const known = family.for('known');
    record(known, 'f');
    registry.configure({ tenants: { failureThreshold: 2 } });
    expect(family.options).toMatchObject({ failureThreshold: 2, successThreshold: 4 });
    expect(record(known, 'f')).toBe('open');
    expect(record(family.for('new'), 'ff')).toBe('open');
    expect(family.summary()).toMatchObject({ keys: 2, notClosed: { open: 2 } });
  });

  it('reaches a keyed family that is made after the change', async () => {
    const registry = await registryOf();
    registry.configure({ tenants: { failureThreshold: 1 } });
    expect(record(registry.keyed('tenants').for('a'), 'f')).toBe('open');
  });

  it('takes no change at all', async () => {
    const registry = await registryOf();
    registry.configure({});
    expect(registry.get('payments').options.failureThreshold).toBe(2);
  });
});
