import fc from 'fast-check';
import {
  CircuitBreaker,
  type CircuitBreakerOptions,
  type CircuitStateChange,
  KeyedCircuitBreakers,
  type Permit,
  ResilienceConfigError,
} from 'nestjs-bulwark/core';
import { Lab, deferred, down, play, settled, thrownBy } from '../support/lab.js';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});

const shadow = (options?: CircuitBreakerOptions): CircuitBreaker =>
  new CircuitBreaker(
    'payments',
    { failureThreshold: 3, mode: 'shadow', ...options },
    { runtime: lab.runtime },
  );

describe('R73 a breaker in shadow mode', () => {
  it.each([
    // history, what would have been rejected, and the state it would have
    ['fff', 0, 'open'],
    ['fffs', 1, 'open'],
    ['fffsfif', 4, 'open'],
    ['fffsws', 1, 'half_open'],
    ['fffwss', 0, 'closed'],
    ['fffwhhhss', 2, 'half_open'],
    ['fffwf', 0, 'open'],
    ['fffwfff', 2, 'open'],
    ['ffsff', 0, 'closed'],
  ])('lets all of "%s" through, counts %d and is %s', async (history, rejections, state) => {
    const breaker = shadow();
    expect(await play(breaker, history, lab)).toBe(history.replaceAll('w', ''));
    expect(breaker.state).toBe(state);
    expect(breaker.stats).toMatchObject({ rejectedCalls: 0, shadowRejections: rejections });
  });

  it('tells what it would do', async () => {
    const changes: CircuitStateChange[] = [];
    const breaker = shadow({ onStateChange: (change) => changes.push(change) });
    await play(breaker, 'fffswss', lab);
    expect(changes.map(({ from, to }) => `${from} ${to}`)).toEqual([
      'closed open',
      'open half_open',
      'half_open closed',
    ]);
    expect(changes[0]).toMatchObject({ error: down, opening: { rule: 'consecutive_failures' } });
    expect(breaker.snapshot()).toMatchObject({
      state: 'closed',
      timeInStates: { open: 30_000 },
      stats: { shadowRejections: 1, stateChanges: 3 },
    });
  });

  it('gives the work its own value and error while it would be open', async () => {
    const breaker = shadow();
    await play(breaker, 'fff', lab);
    expect(await breaker.execute(() => 'value')).toBe('value');
    expect(await lab.errorOf(breaker.execute(() => Promise.reject(down)))).toBe(down);
    expect(breaker.executeSync(() => 7)).toBe(7);
    expect(thrownBy(() => breaker.executeSync(() => thrownDown()))).toBe(down);
    expect(breaker.tryAcquire()).toBeDefined();
    expect(breaker.remainingTimeout).toBe(30_000);
  });

  it('a call that it would have rejected decides nothing, whenever it ends', async () => {
    const breaker = shadow({ successThreshold: 1 });
    await play(breaker, 'fff', lab);
    const spared = deferred<string>();
    const outcome = settled(breaker.execute(() => spared.promise));
    expect(breaker.stats.inFlight).toBe(1);
    await play(breaker, 'wh', lab);
    spared.reject(down);
    await outcome;
    expect(breaker.state).toBe('half_open');
    expect(breaker.stats).toMatchObject({ failedCalls: 4, inFlight: 1 });
    await play(breaker, 's', lab);
    expect(breaker.state).toBe('closed');
  });

  it('counts what its ramp would turn away', async () => {
    const breaker = shadow({ successThreshold: 1, rampUp: { duration: '10s', from: 0.1 } });
    await play(breaker, 'fffws', lab);
    lab.random = 0.9;
    expect(await play(breaker, 'ss', lab)).toBe('ss');
    expect(breaker.stats).toMatchObject({ rejectedCalls: 0, shadowRejections: 2 });
  });

  it('counts what its half-open rate would turn away', async () => {
    const breaker = shadow({ halfOpenFailureRate: 0.5, halfOpenMaxCalls: 2 });
    await play(breaker, 'fffwhhss', lab);
    expect(breaker.stats).toMatchObject({ inFlight: 2, shadowRejections: 2, rejectedCalls: 0 });
    expect(breaker.state).toBe('half_open');
  });

  it('lets even an isolated circuit pass', async () => {
    const breaker = shadow();
    const hold = breaker.isolate();
    expect(await play(breaker, 'sf', lab)).toBe('sf');
    expect(breaker.state).toBe('isolated');
    expect(breaker.stats).toMatchObject({ rejectedCalls: 0, shadowRejections: 2 });
    hold.release();
    expect(breaker.state).toBe('closed');
  });

  it('makes the very decisions of one that enforces, seen from the calls that both admit', () => {
    const letters = fc.constantFrom('s', 'f', 'i', 's', 'f', '.');
    fc.assert(
      fc.property(
        fc.array(letters, { minLength: 1, maxLength: 80, size: 'max' }),
        fc.constantFrom<CircuitBreakerOptions>(
          {},
          { halfOpenFailureRate: 0.5 },
          { window: { type: 'count', size: 4, minimumCalls: 2 } },
          { window: { type: 'time', duration: '1m', minimumCalls: 3 } },
        ),
        (history, options) => {
          lab = new Lab();
          const enforcing = shadow({ ...options, mode: 'enforce' });
          const shadowing = shadow(options);
          for (const letter of history) {
            if (letter === '.') lab.clock.jump(10_000);
            else for (const each of [enforcing, shadowing]) end(each.tryAcquire(), letter);
            const { rejectedCalls } = enforcing.stats;
            const told = shadowing.stats;
            if (enforcing.state !== shadowing.state) throw new Error('state');
            if (told.shadowRejections !== rejectedCalls) throw new Error('rejections');
            if (told.totalCalls !== enforcing.stats.totalCalls) throw new Error('totals');
            const sum = told.successfulCalls + told.failedCalls + told.ignoredCalls + told.inFlight;
            if (told.rejectedCalls !== 0 || sum !== told.totalCalls) throw new Error('R18');
          }
        },
      ),
      { numRuns: 1000 },
    );
  });

  it('works for a keyed family', () => {
    const family = new KeyedCircuitBreakers(
      'tenants',
      { failureThreshold: 1, mode: 'shadow' },
      { runtime: lab.runtime },
    );
    const breaker = family.for('a');
    breaker.tryAcquire()?.failure(down);
    expect(breaker.state).toBe('open');
    expect(breaker.executeSync(() => 'passes')).toBe('passes');
    expect(breaker.stats.shadowRejections).toBe(1);
    expect(family.summary().notClosed).toEqual({ open: 1 });
  });
});

describe('R73 the figure of shadow rejections', () => {
  it('is absent from a breaker that enforces', async () => {
    const breaker = shadow({ mode: 'enforce' });
    await play(breaker, 'fffs', lab);
    expect(breaker.stats).not.toHaveProperty('shadowRejections');
    expect(breaker.stats.rejectedCalls).toBe(1);
  });

  it('starts at 0 and outlives a reset, and the end of shadow mode', async () => {
    const breaker = shadow();
    expect(breaker.stats.shadowRejections).toBe(0);
    await play(breaker, 'fffssr', lab);
    expect(breaker.stats.shadowRejections).toBe(2);
    breaker.configure({ mode: 'enforce' });
    expect(breaker.stats.shadowRejections).toBe(2);
    expect(await play(breaker, 'fffs', lab)).toBe('fffx');
    expect(breaker.stats).toMatchObject({ shadowRejections: 2, rejectedCalls: 1 });
  });
});

describe('R73 R75 the mode changes while it works', () => {
  it('to shadow: an open circuit lets calls pass and stays open', async () => {
    const breaker = shadow({ mode: 'enforce' });
    expect(await play(breaker, 'fffs', lab)).toBe('fffx');
    breaker.configure({ mode: 'shadow' });
    expect(breaker.state).toBe('open');
    expect(await play(breaker, 's', lab)).toBe('s');
    expect(breaker.stats).toMatchObject({ rejectedCalls: 1, shadowRejections: 1 });
  });

  it('to enforce: calls that were spared end without a say', async () => {
    const breaker = shadow();
    await play(breaker, 'fff', lab);
    const spared = breaker.tryAcquire();
    breaker.configure({ mode: 'enforce' });
    expect(await play(breaker, 's', lab)).toBe('x');
    spared?.success();
    expect(breaker.state).toBe('open');
    expect(breaker.stats).toMatchObject({ successfulCalls: 1, inFlight: 0, totalCalls: 5 });
  });
});

it.each(['off', 'Shadow', true, null])('refuses mode %p', (mode) => {
  const error = thrownBy(() => shadow({ mode: mode as 'shadow' }));
  expect(error).toBeInstanceOf(ResilienceConfigError);
  expect((error as Error).message).toContain('circuitBreaker(payments).mode must be one of');
});

function end(permit: Permit | undefined, letter: string): void {
  if (letter === 's') permit?.success();
  if (letter === 'f') permit?.failure(down);
  if (letter === 'i') permit?.release();
}

function thrownDown(): never {
  throw down;
}
