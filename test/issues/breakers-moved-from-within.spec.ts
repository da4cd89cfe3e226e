import { CircuitBreaker, type CircuitBreakerOptions, EventHub } from 'nestjs-bulwark/core';
import { Lab, down, settled } from '../support/lab.js';

let lab: Lab;
let events: EventHub;
beforeEach(() => {
  lab = new Lab();
  events = new EventHub(() => lab.clock.wallTime(), lab.logger);
});

const breakerWith = (options: CircuitBreakerOptions): CircuitBreaker =>
  new CircuitBreaker(
    'bank',
    { failureThreshold: 1, ...options },
    { runtime: { ...lab.runtime, events } },
  );
const fail = (breaker: CircuitBreaker): Promise<unknown> =>
  settled(breaker.execute(() => Promise.reject(down)));

describe('a recovery time that is asked for', () => {
  it.each([
    ['isolates it', 'isolated', (breaker: CircuitBreaker) => breaker.isolate()],
    ['disables it', 'disabled', (breaker: CircuitBreaker) => breaker.disable()],
  ] as const)('is not taken where the function %s', async (_what, state, hold) => {
    const breaker = breakerWith({
      recoveryTimeout: () => {
        hold(breaker);
        return 1000;
      },
    });
    await fail(breaker);
    expect(breaker.state).toBe(state);
    expect(breaker.snapshot().lastOpening).toBeUndefined();
    lab.clock.jump(5000);
    expect(breaker.state).toBe(state);
  });
});

describe('listeners are told of changes in their order', () => {
  it('where a listener to events makes the next one', async () => {
    const told: string[] = [];
    events.listen(({ type }) => {
      if (type === 'breaker.opened') breaker.reset();
    });
    events.listen(({ type }) => void told.push(type));
    const breaker = breakerWith({ onStateChange: ({ to }) => void told.push(`own: ${to}`) });
    breaker.onStateChange(({ to }) => void told.push(`added: ${to}`));
    await fail(breaker);
    expect(told).toEqual([
      'breaker.opened',
      'own: open',
      'added: open',
      'breaker.closed',
      'own: closed',
      'added: closed',
    ]);
  });
});

describe('a rejection', () => {
  it('tells the state that turned the call away, also where a listener has moved the breaker', async () => {
    const breaker = breakerWith({ recoveryTimeout: 1000 });
    const stop = events.listen(({ type }) => {
      if (type === 'breaker.rejected') breaker.reset();
    });
    await fail(breaker);
    expect(await fail(breaker)).toMatchObject({
      error: { code: 'CIRCUIT_OPEN', state: 'open', remainingTimeout: 1000 },
    });
    expect(breaker.state).toBe('closed');
    stop();
    breaker.isolate();
    expect(await fail(breaker)).toMatchObject({ error: { state: 'isolated' } });
  });

  it('tells it also where a listener has made a call that another state turned away', async () => {
    const breaker = breakerWith({ recoveryTimeout: 1000 });
    const stop = events.listen(({ type }) => {
      if (type !== 'breaker.rejected') return;
      stop();
      breaker.isolate();
      void fail(breaker);
    });
    await fail(breaker);
    expect(await fail(breaker)).toMatchObject({ error: { state: 'open', remainingTimeout: 1000 } });
  });

  it.each([
    ['tryAcquire has told nobody', 'enforce', (breaker: CircuitBreaker) => breaker.tryAcquire()],
    ['shadow mode has told nobody', 'shadow', (breaker: CircuitBreaker) => breaker.tryAcquire()],
  ] as const)('tells no state of which %s', async (_how, mode, refuse) => {
    const breaker = breakerWith({ recoveryTimeout: 1000, mode });
    const leave = events.listen(({ type }) => {
      if (type !== 'breaker.rejected' && type !== 'breaker.spared') return;
      leave();
      breaker.isolate();
    });
    await fail(breaker);
    refuse(breaker);
    breaker.configure({ mode: 'enforce' });
    const outcome = await fail(breaker);
    expect(outcome).toMatchObject({ error: { state: 'isolated' } });
    expect(outcome).not.toHaveProperty('error.remainingTimeout');
  });
});
