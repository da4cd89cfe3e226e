import 'reflect-metadata';
import { jest } from '@jest/globals';
import {
  CircuitBreaker,
  CircuitBreakerRegistry,
  CircuitProtected,
  RateLimit,
  RateLimitedError,
  ResilienceModule,
  Retry,
  TimeLimit,
  type Timer,
  bulkhead,
  pipeline,
  rateLimit,
  retry,
  timeLimit,
} from 'nestjs-bulwark';
import { FakeClock } from 'nestjs-bulwark/testing';
import { Lab, down, play, settled } from '../support/lab.js';
import { closeAll, start } from '../nest/support/applications.js';

afterEach(closeAll);
afterEach(() => void jest.restoreAllMocks());

const HOUR = 3_600_000;
let log: string[];

class Ledger {
  @TimeLimit('10s')
  hang(): Promise<void> {
    return new Promise(() => undefined);
  }

  @RateLimit({ limit: 1, interval: '10s', maxWait: '10s' })
  async turn(): Promise<void> {
    log.push('turn');
  }

  @Retry({ baseDelay: '10s', jitter: 0, maxAttempts: 2 })
  async fail(): Promise<void> {
    log.push('attempt');
    throw down;
  }
}

describe('a wall clock that steps', () => {
  it.each([
    ['an hour forward', HOUR],
    ['an hour back', -HOUR],
  ])('%s ends waits early or stretches them', async (_step, by) => {
    const lab = new Lab();
    log = [];
    const application = await start({
      imports: [ResilienceModule.forRoot({ runtime: lab.runtime })],
      providers: [Ledger],
    });
    const ledger = application.get(Ledger);
    await ledger.turn();
    const answers = Promise.all([ledger.hang(), ledger.turn(), ledger.fail()].map(settled));
    await lab.clock.advance(9999);
    lab.clock.stepWallTime(by);
    expect(log).toEqual(['turn', 'attempt']);
    await lab.clock.advance(1);
    expect(log).toEqual(['turn', 'attempt', 'turn', 'attempt']);
    const [hung] = await answers;
    expect(hung).toMatchObject({ error: { code: 'TIMEOUT' } });
  });

  it.each([HOUR, -HOUR])('by %d ms moves the recovery of an open circuit', async (by) => {
    const lab = new Lab();
    const real = Date.now();
    const breaker = new CircuitBreaker('bank', { failureThreshold: 1, recoveryTimeout: '30m' });
    await play(breaker, 'f', lab);
    jest.spyOn(Date, 'now').mockReturnValue(real + by);
    expect(await play(breaker, 's', lab)).toBe('x');
    expect(breaker.remainingTimeout).toBeGreaterThan(HOUR / 2 - 60_000);
    expect(breaker.remainingTimeout).toBeLessThanOrEqual(HOUR / 2);
  });
});

describe('a timer that fires a fraction of a millisecond early, as those of Node do', () => {
  class EarlyClock extends FakeClock {
    override setTimeout(callback: () => void, delay: number): Timer {
      return super.setTimeout(callback, Math.max(1, delay - 0.6));
    }
  }

  it('makes the next attempt before the limiter has a token for it', async () => {
    const clock = new EarlyClock();
    const runtime = { clock, random: () => 0 };
    const limited = rateLimit({ limit: 1, interval: 50 }, { runtime });
    const patient = retry({ retryOn: RateLimitedError, baseDelay: 1, maxAttempts: 2 }, { runtime });
    await limited.execute(() => 'takes the only token');
    const second = settled(
      pipeline(patient, limited).execute(({ attempt }) => [attempt, clock.now()]),
    );
    await clock.runAll();
    expect(await second).toEqual({ value: [2, 50.4] });
  });

  it.each([
    [3, 1.6],
    [3, 2],
    [100, 3],
    [100, 50],
  ])('ends a time limit of %d ms by %d ms too early', async (limit, early) => {
    class Early extends FakeClock {
      override setTimeout(callback: () => void, delay: number): Timer {
        return super.setTimeout(callback, delay === limit ? delay - early : delay);
      }
    }
    const clock = new Early();
    const policy = timeLimit(limit, { runtime: { clock } });
    let ended: number | undefined;
    void settled(policy.execute(() => new Promise(() => undefined))).then(() => {
      ended = clock.now();
    });
    await clock.runAll();
    expect(ended).toBeGreaterThanOrEqual(limit);
    expect(ended).toBeLessThan(limit + 1);
  });

  describe('never ends, where timers are faked beside a real clock,', () => {
    beforeEach(() => void jest.useFakeTimers({ doNotFake: ['performance'] }));
    afterEach(() => void jest.useRealTimers());
    const hang = (): Promise<never> => new Promise(() => undefined);
    const soon = async (promise: Promise<unknown>): Promise<unknown> => {
      const outcomes: unknown[] = [];
      void settled(promise).then((outcome) => outcomes.push(outcome));
      await jest.advanceTimersByTimeAsync(4999);
      expect(outcomes).toEqual([]);
      await jest.advanceTimersByTimeAsync(1);
      return outcomes[0];
    };

    it('a time limit', async () => {
      const policy = timeLimit('5s');
      expect(await soon(policy.execute(hang))).toMatchObject({ error: { code: 'TIMEOUT' } });
      expect(await soon(policy.execute(hang))).toMatchObject({ error: { code: 'TIMEOUT' } });
    });

    it('a wait for a token', async () => {
      const policy = rateLimit({ limit: 1, interval: '5s', maxWait: '1m' });
      await policy.execute(() => 'the first');
      const second = soon(policy.execute(() => 'the second'));
      let third = 'waiting';
      const last = policy.execute(() => (third = 'begun'));
      expect(await second).toEqual({ value: 'the second' });
      expect(third).toBe('waiting');
      await jest.advanceTimersByTimeAsync(10_000);
      expect(await last).toBe('begun');
    });

    it('a wait for a slot', async () => {
      const policy = bulkhead({ maxConcurrent: 1, maxQueue: 1, queueTimeout: '5s' });
      void settled(policy.execute(hang));
      const waiting = policy.execute(() => 'never');
      expect(await soon(waiting)).toMatchObject({ error: { code: 'BULKHEAD_FULL' } });
    });
  });

  it('keeps a wait for ever where timers are faked beside a real clock', async () => {
    jest.useFakeTimers({ doNotFake: ['performance'] });
    const attempts: number[] = [];
    const policy = retry({ baseDelay: HOUR, maxDelay: '2h', jitter: 0, retryOn: () => true });
    const running = policy.execute(({ attempt }) => {
      attempts.push(attempt);
      throw down;
    });
    void settled(running);
    await jest.advanceTimersByTimeAsync(3 * HOUR);
    jest.useRealTimers();
    expect(attempts).toEqual([1, 2, 3]);
  });
});

describe('a time window', () => {
  class Shop {
    @CircuitProtected('stock')
    async order(error?: Error): Promise<void> {
      if (error) throw error;
    }
  }

  it.each([
    ['exactly as long as it', 20_000],
    ['twice as long', 40_000],
    ['of three days', 72 * HOUR],
  ])('opens for old failures after an idle time %s', async (_idle, idle) => {
    const lab = new Lab();
    const window = { type: 'time', duration: '20s', minimumCalls: 5, failureRate: 0.5 } as const;
    const application = await start({
      imports: [
        ResilienceModule.forRoot({ circuitBreakers: { stock: { window } }, runtime: lab.runtime }),
      ],
      providers: [Shop],
    });
    const shop = application.get(Shop);
    const breaker = application.get(CircuitBreakerRegistry).get('stock');
    const failing = async (times: number): Promise<void> => {
      for (let call = 0; call < times; call++) await settled(shop.order(down));
    };
    await failing(4);
    lab.clock.jump(idle);
    await failing(4);
    expect(breaker.state).toBe('closed');
    await failing(1);
    expect(breaker.state).toBe('open');
  });
});
