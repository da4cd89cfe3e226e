import { jest } from '@jest/globals';
import {
  AbortError,
  BulkheadRejectedError,
  CircuitBreaker,
  CircuitBreakerError,
  type CircuitBreakerOptions,
  type CircuitStateChange,
  RateLimitedError,
  RejectedError,
  ResilienceConfigError,
  RetryExhaustedError,
  TimeoutError,
  isTransientError,
} from 'nestjs-bulwark/core';
import { Lab, coded, deferred, down, play, settled, thrownBy } from '../support/lab.js';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});

const breakerWith = (options?: CircuitBreakerOptions): CircuitBreaker =>
  new CircuitBreaker('payments', options, { runtime: lab.runtime });

/** `failureThreshold: 3` keeps histories short. */
const brisk = (options?: CircuitBreakerOptions): CircuitBreaker =>
  breakerWith({ failureThreshold: 3, ...options });

const abort = (): Error => new DOMException('given up', 'AbortError');
const boom = new Error('callback');
const throws = (): never => {
  throw boom;
};

/** Starts a call that waits to be settled. */
function start(breaker: CircuitBreaker): {
  succeed(): Promise<void>;
  fail(error?: Error): Promise<void>;
} {
  const work = deferred();
  const outcome = settled(breaker.execute(() => work.promise));
  return {
    async succeed() {
      work.resolve('late');
      await outcome;
    },
    async fail(error = down) {
      work.reject(error);
      await outcome;
    },
  };
}

describe('histories', () => {
  it.each([
    // R10 closed
    ['', '', 'closed'],
    ['ss', 'ss', 'closed'],
    ['ff', 'ff', 'closed'],
    ['fff', 'fff', 'open'],
    ['ffsff', 'ffsff', 'closed'],
    ['ffsfff', 'ffsfff', 'open'],
    ['ffwf', 'fff', 'open'],
    // R13 what tells nothing resets nothing
    ['ffif', 'ffif', 'open'],
    ['iiiii', 'iiiii', 'closed'],
    // R11 open
    ['fffsf', 'fffxx', 'open'],
    ['fffw', 'fff', 'open'],
    ['fffws', 'fffs', 'half_open'],
    // R12 half-open
    ['fffwss', 'fffss', 'closed'],
    ['fffwf', 'ffff', 'open'],
    ['fffwsf', 'fffsf', 'open'],
    ['fffwfs', 'ffffx', 'open'],
    ['fffwfws', 'ffffs', 'half_open'],
    ['fffwhhhs', 'fffhhhx', 'half_open'],
    ['fffwhss', 'fffhss', 'closed'],
    ['fffwssff', 'fffssff', 'closed'],
    // R13 a probe that tells nothing gives its permit back
    ['fffwiiiiiiss', 'fffiiiiiiss', 'closed'],
    ['fffwisis', 'fffisis', 'closed'],
    ['fffwsif', 'fffsif', 'open'],
    // R15 hung probes
    ['fffwhhhws', 'fffhhhs', 'half_open'],
    ['fffwhhhwss', 'fffhhhss', 'closed'],
    // R16 reset
    ['fffr', 'fff', 'closed'],
    ['ffrff', 'ffff', 'closed'],
    ['fffrfff', 'ffffff', 'open'],
    ['fffwsrf', 'fffsf', 'closed'],
  ])('"%s" comes to "%s" and is %s', async (history, seen, state) => {
    const breaker = brisk();
    expect(await play(breaker, history, lab)).toBe(seen);
    expect(breaker.state).toBe(state);
  });

  it.each<[CircuitBreakerOptions, string, string, string]>([
    [{ failureThreshold: 1 }, 'f', 'f', 'open'],
    [{ successThreshold: 1 }, 'fffws', 'fffs', 'closed'],
    [{ successThreshold: 5 }, 'fffwssss', 'fffssss', 'half_open'],
    [{ successThreshold: 5 }, 'fffwsssss', 'fffsssss', 'closed'],
    [{ successThreshold: 5, halfOpenMaxCalls: 1 }, 'fffwsssss', 'fffsssss', 'closed'],
    [{ halfOpenMaxCalls: 1 }, 'fffwhs', 'fffhx', 'half_open'],
    [{ recoveryTimeout: 0 }, 'fffs', 'fffs', 'half_open'],
    [{ recoveryTimeout: 0 }, 'fffssff', 'fffssff', 'closed'],
    [{ recoveryTimeout: 0 }, 'fffhhhs', 'fffhhhx', 'half_open'],
    [{ probeTimeout: 1, recoveryTimeout: 5 }, 'fffwhhhwss', 'fffhhhss', 'closed'],
  ])('with %j, "%s" comes to "%s" and is %s', async (options, history, seen, state) => {
    const breaker = brisk(options);
    expect(await play(breaker, history, lab)).toBe(seen);
    expect(breaker.state).toBe(state);
  });
});

describe('R11 an open circuit', () => {
  it('says when to come back, fresh each time', async () => {
    const breaker = brisk();
    await play(breaker, 'fff', lab);
    lab.clock.jump(10_000);
    const first = await lab.errorOf(breaker.execute(() => 1));
    expect(first).toBeInstanceOf(CircuitBreakerError);
    expect(first).toMatchObject({
      name: 'CircuitBreakerError',
      code: 'CIRCUIT_OPEN',
      breakerName: 'payments',
      state: 'open',
      remainingTimeout: 20_000,
      retryAfter: 20_000,
    });
    expect(await lab.errorOf(breaker.execute(() => 1))).not.toBe(first);
    expect(breaker.remainingTimeout).toBe(20_000);
  });

  it('runs no timer, however long it stays open', async () => {
    const breaker = brisk();
    await play(breaker, 'fff', lab);
    expect(lab.clock.pendingTimers).toBe(0);
    await lab.clock.advance(3_600_000);
    expect(breaker.state).toBe('open');
    expect(breaker.remainingTimeout).toBe(0);
  });

  it('R19 does not mind a step of the wall clock', async () => {
    const breaker = brisk();
    await play(breaker, 'fff', lab);
    lab.clock.stepWallTime(86_400_000);
    expect(await play(breaker, 's', lab)).toBe('x');
    lab.clock.stepWallTime(-2 * 86_400_000);
    lab.clock.jump(30_000);
    expect(await play(breaker, 's', lab)).toBe('s');
  });

  it.each([
    [false, 0],
    [true, 1],
  ])('with captureStack %p has %d or more lines of stack', async (captureStack, least) => {
    const limit = Error.stackTraceLimit;
    const breaker = brisk({ captureStack });
    await play(breaker, 'fff', lab);
    const { stack = '' } = thrownBy(() => breaker.executeSync(() => 1)) as Error;
    expect(stack.split('\n').filter((line) => line.includes(' at ')).length > 0).toBe(least > 0);
    expect(Error.stackTraceLimit).toBe(limit);
  });

  it('restarts the recovery time when a probe fails (R12)', async () => {
    const breaker = brisk();
    await play(breaker, 'fff', lab);
    lab.clock.jump(45_000);
    await play(breaker, 'f', lab);
    expect(breaker.remainingTimeout).toBe(30_000);
    expect(breaker.stats.consecutiveFailures).toBe(4);
  });
});

describe('R12 half-open', () => {
  it('rejects beyond its probes at once, with no time to come back at', async () => {
    const breaker = brisk({ halfOpenMaxCalls: 1 });
    await play(breaker, 'fffwh', lab);
    const error = thrownBy(() => breaker.executeSync(() => 1));
    expect(error).toMatchObject({ state: 'half_open', retryAfter: undefined });
    expect(error).not.toHaveProperty('remainingTimeout');
    expect(breaker.remainingTimeout).toBeUndefined();
  });
});

describe('R14 generations', () => {
  it('late failures of an earlier closed period do not open a later one', async () => {
    const breaker = brisk();
    const late = [1, 2, 3].map(() => start(breaker));
    breaker.reset();
    for (const call of late) await call.fail();
    expect(breaker.state).toBe('closed');
    expect(breaker.stats).toMatchObject({
      failedCalls: 3,
      consecutiveFailures: 0,
      stateChanges: 0,
    });
  });

  it('a late success of the closed period does not close a half-open breaker', async () => {
    const breaker = brisk({ successThreshold: 1 });
    const late = start(breaker);
    await play(breaker, 'fffwh', lab);
    await late.succeed();
    expect(breaker.state).toBe('half_open');
    expect(breaker.stats.successfulCalls).toBe(1);
  });

  it('a late failure of the closed period does not open a half-open breaker', async () => {
    const breaker = brisk();
    const late = start(breaker);
    await play(breaker, 'fffws', lab);
    await late.fail();
    expect(breaker.state).toBe('half_open');
  });

  it('a probe of an earlier half-open period does not touch a later one', async () => {
    const breaker = brisk();
    await play(breaker, 'fffw', lab);
    const [late, ending] = [start(breaker), start(breaker)];
    await ending.fail();
    await play(breaker, 'ws', lab);
    await late.fail();
    expect(breaker.state).toBe('half_open');
    expect(await play(breaker, 's', lab)).toBe('s');
    expect(breaker.state).toBe('closed');
  });

  it.each<[string, string, (breaker: CircuitBreaker) => void]>([
    ['a reset', 'closed', (breaker) => breaker.reset()],
    ['a hold', 'isolated', (breaker) => breaker.isolate()],
  ])('late successes of probes do not close it again after %s', async (_what, state, move) => {
    const breaker = brisk();
    await play(breaker, 'fffw', lab);
    const permits = [breaker.tryAcquire(), breaker.tryAcquire()];
    move(breaker);
    if (state === 'closed') await play(breaker, 'ff', lab);
    const { consecutiveFailures, stateChanges } = breaker.stats;
    for (const permit of permits) permit?.success();
    expect(breaker.stats).toMatchObject({ consecutiveFailures, stateChanges });
    expect(breaker.state).toBe(state);
  });

  it('a success of the closed period does not reset the failures of a later one', async () => {
    const breaker = brisk();
    const late = start(breaker);
    breaker.reset();
    await play(breaker, 'ff', lab);
    await late.succeed();
    await play(breaker, 'f', lab);
    expect(breaker.state).toBe('open');
  });
});

describe('R15 a hung probe', () => {
  it('gives its permit to the next call after probeTimeout, not before', async () => {
    const breaker = brisk({ halfOpenMaxCalls: 1, probeTimeout: 500 });
    await play(breaker, 'fffwh', lab);
    lab.clock.jump(499);
    expect(await play(breaker, 's', lab)).toBe('x');
    lab.clock.jump(1);
    expect(await play(breaker, 's', lab)).toBe('s');
  });

  it.each(['succeed', 'fail'] as const)('moves only totals when it does %s later', async (end) => {
    const breaker = brisk({ halfOpenMaxCalls: 1, successThreshold: 1, probeTimeout: 500 });
    await play(breaker, 'fffw', lab);
    const hung = start(breaker);
    lab.clock.jump(500);
    await play(breaker, 'h', lab);
    await hung[end]();
    expect(breaker.state).toBe('half_open');
    expect(breaker.stats.inFlight).toBe(1);
    expect(await play(breaker, 's', lab)).toBe('x'); // the second probe holds the only permit
  });

  it.each(['succeed', 'fail'] as const)(
    'moves only totals when it does %s after its permit ran out, though no call came between',
    async (end) => {
      const breaker = brisk({ halfOpenMaxCalls: 1, successThreshold: 1, probeTimeout: 500 });
      await play(breaker, 'fffw', lab);
      const hung = start(breaker);
      lab.clock.jump(500);
      await hung[end]();
      expect(breaker.state).toBe('half_open');
      expect(breaker.stats.inFlight).toBe(0);
      expect(await play(breaker, 's', lab)).toBe('s');
    },
  );

  it('may take as long as recoveryTimeout by default', () => {
    expect(breakerWith({ recoveryTimeout: '7s' }).options.probeTimeout).toBe(7000);
    expect(breakerWith({ recoveryTimeout: 0 }).options.probeTimeout).toBeGreaterThan(0);
    expect(breakerWith({ probeTimeout: '1s' }).options.probeTimeout).toBe(1000);
  });
});

describe('what counts', () => {
  const verdict = async (options: CircuitBreakerOptions, error: unknown): Promise<string> => {
    const breaker = brisk(options);
    await settled(breaker.execute(() => Promise.reject(error as Error)));
    const { failedCalls, ignoredCalls, consecutiveFailures } = breaker.stats;
    expect(consecutiveFailures).toBe(failedCalls);
    return failedCalls === 1 ? 'failure' : ignoredCalls === 1 ? 'nothing' : 'success';
  };
  class Declined extends Error {}

  it.each<[string, string, CircuitBreakerOptions, unknown]>([
    ['any error', 'failure', {}, down],
    ['what is no error', 'failure', {}, 'a string'],
    ['nothing at all', 'failure', {}, undefined],
    ['a TimeoutError', 'failure', {}, new TimeoutError(5)],
    [
      'an exhausted retry',
      'failure',
      {},
      new RetryExhaustedError({ attempts: 3, lastException: down }),
    ],
    ['an open circuit', 'nothing', {}, new CircuitBreakerError('other')],
    ['a full bulkhead', 'nothing', {}, new BulkheadRejectedError('db')],
    ['a rate limit', 'nothing', {}, new RateLimitedError('api', { retryAfter: 1 })],
    ['an abort', 'nothing', {}, abort()],
    ['our AbortError', 'nothing', {}, new AbortError()],
    ['a class that is listed', 'failure', { failureExceptions: [TypeError] }, new TypeError()],
    ['a class that is not listed', 'nothing', { failureExceptions: [TypeError] }, down],
    ['a code that is listed', 'failure', { failureExceptions: 'EPIPE' }, coded('EPIPE')],
    ['a code that is not listed', 'nothing', { failureExceptions: 'EPIPE' }, coded('ENOENT')],
    ['what a predicate takes', 'failure', { failureExceptions: (e) => e === down }, down],
    [
      'a rejection, when Error is listed',
      'nothing',
      { failureExceptions: Error },
      new CircuitBreakerError('x'),
    ],
    ['an abort, when Error is listed', 'nothing', { failureExceptions: [Error] }, new AbortError()],
    [
      'an exhausted retry, when Error is listed',
      'failure',
      { failureExceptions: [Error] },
      new RetryExhaustedError({ attempts: 1, lastException: down }),
    ],
    [
      'a rejection that is named',
      'failure',
      { failureExceptions: [RejectedError] },
      new CircuitBreakerError('x'),
    ],
    [
      'an exhausted retry with a transient cause',
      'failure',
      { failureExceptions: isTransientError },
      new RetryExhaustedError({ attempts: 1, lastException: coded('EPIPE') }),
    ],
    ['what is ignored', 'nothing', { ignoreExceptions: [Declined] }, new Declined()],
    ['what is not ignored', 'failure', { ignoreExceptions: [Declined] }, down],
    ['an abort beside an ignored class', 'nothing', { ignoreExceptions: [Declined] }, abort()],
    [
      'what is listed and ignored',
      'nothing',
      { failureExceptions: Error, ignoreExceptions: Declined },
      new Declined(),
    ],
    [
      'an exhausted retry, when Error is ignored',
      'nothing',
      { ignoreExceptions: Error },
      new RetryExhaustedError({ attempts: 1, lastException: down }),
    ],
    ['anything, with an empty list of failures', 'nothing', { failureExceptions: [] }, down],
    [
      'an abort that is listed and no longer ignored',
      'failure',
      { failureExceptions: [AbortError], ignoreExceptions: Declined },
      new AbortError(),
    ],
  ])('%s is a %s', async (_what, expected, options, error) => {
    expect(await verdict(options, error)).toBe(expected);
  });

  it('the caller gets the very error, counted or not (R20)', async () => {
    for (const error of [down, abort(), new CircuitBreakerError('other'), undefined, 0]) {
      const outcome = await settled(brisk().execute(() => Promise.reject(error as Error)));
      expect((outcome as { error: unknown }).error).toBe(error);
    }
  });

  it('a value that isFailure names opens it, and is returned all the same', async () => {
    const breaker = brisk({ isFailure: (response: { status: number }) => response.status >= 500 });
    const response = { status: 503 };
    for (let call = 0; call < 3; call++)
      expect(await breaker.execute(() => response)).toBe(response);
    expect(breaker.state).toBe('open');
    expect(breaker.stats).toMatchObject({ failedCalls: 3, successfulCalls: 0 });
    expect(breaker.stats.lastFailure).toBeUndefined();
  });

  it.each([true, 1, 'yes', {}])('isFailure answering %p', async (answer) => {
    const breaker = brisk({ isFailure: () => answer as boolean });
    await breaker.execute(() => 'value');
    expect(breaker.stats.failedCalls).toBe(answer === true ? 1 : 0);
  });

  it("an abort of the caller's counts as nothing, whatever the reason it gives (R13)", async () => {
    const breaker = brisk();
    for (const reason of [new TypeError('mine'), 'gone', undefined]) {
      const controller = new AbortController();
      const outcome = settled(
        breaker.execute(
          ({ signal }) =>
            new Promise((_, reject) => {
              signal.addEventListener('abort', () => reject(signal.reason as Error));
            }),
          { signal: controller.signal },
        ),
      );
      controller.abort(reason);
      expect(await outcome).toEqual({ error: controller.signal.reason });
    }
    await lab.clock.runAll();
    expect(breaker.stats).toMatchObject({ ignoredCalls: 3, failedCalls: 0, inFlight: 0 });
  });

  it('an abort does not hide a failure of the work itself', async () => {
    const breaker = brisk();
    const controller = new AbortController();
    const work = deferred();
    const outcome = settled(breaker.execute(() => work.promise, { signal: controller.signal }));
    controller.abort(new Error('gone'));
    await outcome;
    expect(breaker.stats.inFlight).toBe(1); // the work has not ended
    work.reject(down);
    await lab.clock.runAll();
    expect(breaker.stats).toMatchObject({ failedCalls: 1, inFlight: 0 });
  });

  it('a synchronous throw of the abort reason counts as nothing too', async () => {
    const breaker = brisk();
    const controller = new AbortController();
    const reason = new Error('gone');
    await settled(
      breaker.execute(
        () => {
          controller.abort(reason);
          throw reason;
        },
        { signal: controller.signal },
      ),
    );
    expect(breaker.stats.ignoredCalls).toBe(1);
  });
});

describe('R16 reset', () => {
  it.each(['', 'ff', 'fff', 'fffws', 'fffwhhh'])('after "%s" closes it', async (history) => {
    const breaker = brisk();
    await play(breaker, history, lab);
    const { totalCalls, failedCalls } = breaker.stats;
    breaker.reset();
    expect(breaker.state).toBe('closed');
    expect(breaker.stats).toMatchObject({ totalCalls, failedCalls, consecutiveFailures: 0 });
    expect(breaker.stats.openedAt).toBeUndefined();
    expect(await play(breaker, 'ff', lab)).toBe('ff');
    expect(breaker.state).toBe('closed');
  });
});

describe('R17 holds', () => {
  it('isolate rejects everything for as long as it is held', async () => {
    const breaker = brisk();
    const hold = breaker.isolate();
    expect(breaker.state).toBe('isolated');
    expect(await play(breaker, 'swsws', lab)).toBe('xxx');
    const error = thrownBy(() => breaker.executeSync(() => 1));
    expect(error).toMatchObject({ state: 'isolated', retryAfter: undefined });
    hold.release();
    expect(breaker.state).toBe('closed');
    expect(await play(breaker, 's', lab)).toBe('s');
  });

  it('disable lets everything through and records only totals', async () => {
    const breaker = brisk();
    await play(breaker, 'ff', lab);
    const hold = breaker.disable();
    expect(breaker.state).toBe('disabled');
    expect(await play(breaker, 'fffffsi', lab)).toBe('fffffsi');
    expect(breaker.state).toBe('disabled');
    expect(breaker.stats).toMatchObject({
      failedCalls: 7,
      successfulCalls: 1,
      ignoredCalls: 1,
      consecutiveFailures: 0,
    });
    hold.release();
    expect(await play(breaker, 'ff', lab)).toBe('ff'); // fresh counters
    expect(breaker.state).toBe('closed');
  });

  it('works with using', () => {
    const breaker = brisk();
    {
      using hold = breaker.isolate();
      expect([breaker.state, typeof hold.release]).toEqual(['isolated', 'function']);
    }
    expect(breaker.state).toBe('closed');
  });

  it('is counted: the last release ends it, and each handle counts once', () => {
    const breaker = brisk();
    const [first, second] = [breaker.isolate(), breaker.isolate()];
    first.release();
    first.release();
    expect(breaker.state).toBe('isolated');
    second.release();
    expect(breaker.state).toBe('closed');
  });

  it.each([
    ['isolate, disable', 'release isolate', 'isolated', 'disabled'],
    ['isolate, disable', 'release disable', 'isolated', 'isolated'],
    ['disable, isolate', 'release isolate', 'isolated', 'disabled'],
    ['disable, isolate', 'release disable', 'isolated', 'isolated'],
  ])('%s: isolation wins; after %s it is %s, then %s', (order, release, before, after) => {
    const breaker = brisk();
    const holds = Object.fromEntries(
      order.split(', ').map((kind) => [kind, breaker[kind as 'isolate' | 'disable']()]),
    );
    expect(breaker.state).toBe(before);
    holds[release.replace('release ', '')]?.release();
    expect(breaker.state).toBe(after);
    Object.values(holds).forEach((hold) => hold.release());
    expect(breaker.state).toBe('closed');
  });

  it('reset voids every hold; a handle from before it does nothing', () => {
    const breaker = brisk();
    const stale = [breaker.isolate(), breaker.disable()];
    breaker.reset();
    expect(breaker.state).toBe('closed');
    const fresh = breaker.isolate();
    stale.forEach((hold) => hold.release());
    expect(breaker.state).toBe('isolated');
    fresh.release();
    expect(breaker.state).toBe('closed');
  });

  it.each(['fff', 'fffws'])('after "%s" a hold that ends leaves it closed', async (history) => {
    const breaker = brisk();
    await play(breaker, history, lab);
    breaker.disable().release();
    expect(breaker.state).toBe('closed');
  });

  it('calls admitted before a hold move only totals during and after it (R14)', async () => {
    const breaker = brisk();
    const late = [1, 2, 3, 4].map(() => start(breaker));
    const hold = breaker.disable();
    await late[0]?.fail();
    await late[1]?.fail();
    hold.release();
    await late[2]?.fail();
    await late[3]?.fail();
    expect(breaker.state).toBe('closed');
    expect(breaker.stats).toMatchObject({ failedCalls: 4, consecutiveFailures: 0 });
  });
});

describe('R18 stats', () => {
  it('add up, and are a snapshot', async () => {
    const breaker = brisk();
    const before = breaker.stats;
    await play(breaker, 'ssihfff', lab);
    await play(breaker, 'ss', lab);
    expect(breaker.stats).toEqual({
      totalCalls: 9,
      successfulCalls: 2,
      failedCalls: 3,
      rejectedCalls: 2,
      ignoredCalls: 1,
      inFlight: 1,
      stateChanges: 1,
      consecutiveFailures: 3,
      lastFailure: down,
      openedAt: lab.clock.wallTime(),
    });
    expect(before.totalCalls).toBe(0);
  });

  it('keep the last failure and, until it closes, when it opened', async () => {
    const breaker = brisk();
    const openedAt = lab.clock.wallTime();
    await play(breaker, 'fffw', lab);
    expect(breaker.stats).toMatchObject({ openedAt, lastFailure: down });
    await play(breaker, 's', lab);
    expect(breaker.stats.openedAt).toBe(openedAt);
    await play(breaker, 's', lab);
    expect(breaker.stats).toMatchObject({ lastFailure: down, stateChanges: 3 });
    expect(breaker.stats).not.toHaveProperty('openedAt');
  });

  it('say nothing of what has not been', () => {
    const named = ['lastFailure', 'openedAt', 'shadowRejections'];
    for (const name of named) expect(brisk().stats).not.toHaveProperty(name);
    expect(brisk({ mode: 'shadow' }).stats.shadowRejections).toBe(0);
  });

  it('R83 time in each state is written on transitions and read up to now', async () => {
    const breaker = brisk();
    lab.clock.jump(100);
    await play(breaker, 'fff', lab);
    lab.clock.jump(40_000);
    await play(breaker, 's', lab);
    lab.clock.jump(7);
    await play(breaker, 's', lab);
    lab.clock.jump(900);
    expect(breaker.snapshot().timeInStates).toEqual({ closed: 1000, open: 40_000, half_open: 7 });
  });
});

describe('onStateChange', () => {
  const changesOf = (breaker: CircuitBreaker): CircuitStateChange[] => {
    const changes: CircuitStateChange[] = [];
    breaker.onStateChange((change) => changes.push(change));
    return changes;
  };

  it('tells every change, after it, with its error and its time', async () => {
    const breaker = brisk();
    const changes = changesOf(breaker);
    const states: string[] = [];
    breaker.onStateChange(() => states.push(breaker.state));
    await play(breaker, 'fffwss', lab);
    const at = lab.clock.wallTime();
    expect(changes).toMatchObject([
      { breakerName: 'payments', from: 'closed', to: 'open', error: down, at: at - 30_000 },
      { breakerName: 'payments', from: 'open', to: 'half_open', at },
      { breakerName: 'payments', from: 'half_open', to: 'closed', at },
    ]);
    expect(changes[1]).not.toHaveProperty('error');
    expect(states).toEqual(['open', 'half_open', 'closed']);
  });

  it('tells of changes by hand, but not of what changes nothing', () => {
    const breaker = brisk();
    const changes = changesOf(breaker);
    breaker.reset();
    const hold = breaker.isolate();
    breaker.isolate();
    breaker.disable();
    hold.release();
    breaker.reset();
    expect(changes.map(({ from, to }) => `${from}>${to}`)).toEqual([
      'closed>isolated',
      'isolated>closed',
    ]);
    expect(breaker.stats.stateChanges).toBe(2);
  });

  it('calls the option first and the others in the order of their coming', async () => {
    const told: string[] = [];
    const breaker = brisk({ onStateChange: () => told.push('option') });
    breaker.onStateChange(() => told.push('first'));
    breaker.onStateChange(() => told.push('second'));
    await play(breaker, 'fff', lab);
    expect(told).toEqual(['option', 'first', 'second']);
  });

  it('can be taken back, each subscription for itself', async () => {
    const breaker = brisk();
    const listener = jest.fn();
    const [stop] = [breaker.onStateChange(listener), breaker.onStateChange(listener)];
    stop();
    stop();
    await play(breaker, 'fff', lab);
    expect(listener).toHaveBeenCalledTimes(1);
  });

  it('tells those that stay when another leaves, and nobody else', async () => {
    const breaker = brisk();
    const [leaving, staying] = [jest.fn(), jest.fn()];
    const leave = breaker.onStateChange(leaving);
    breaker.onStateChange(staying);
    leave();
    await play(breaker, 'fff', lab);
    expect([leaving.mock.calls.length, staying.mock.calls.length]).toEqual([0, 1]);
    expect(lab.logger.errors).toEqual([]);
  });

  it('R19 a listener that throws is logged; the others hear, and the caller sees its own', async () => {
    const heard = jest.fn();
    const breaker = brisk({ onStateChange: throws });
    breaker.onStateChange(heard);
    expect(await play(breaker, 'ff', lab)).toBe('ff');
    await expect(breaker.execute(() => Promise.reject(down))).rejects.toBe(down);
    expect(heard).toHaveBeenCalledTimes(1);
    expect(lab.logger.errors).toMatchObject([
      {
        message: 'Circuit breaker "payments": a state listener threw; the change stands',
        cause: boom,
      },
    ]);
  });

  it('R19 an asynchronous listener that rejects is logged, too', async () => {
    const breaker = brisk({ onStateChange: () => Promise.reject(boom) as unknown as undefined });
    await play(breaker, 'fff', lab);
    await lab.clock.runAll();
    expect(lab.logger.errors).toMatchObject([{ cause: boom }]);
  });

  it('a listener may change the breaker: all hear of all changes in their order', async () => {
    const breaker = brisk();
    const told: string[] = [];
    breaker.onStateChange(({ to }) => {
      if (to === 'open') breaker.reset();
    });
    breaker.onStateChange(({ from, to }) => told.push(`${from}>${to}`));
    expect(await play(breaker, 'fff', lab)).toBe('fff');
    expect(breaker.state).toBe('closed');
    expect(told).toEqual(['closed>open', 'open>closed']);
  });

  it('a listener that isolates on half-open turns the probe away', async () => {
    const breaker = brisk();
    breaker.onStateChange(({ to }) => {
      if (to === 'half_open') breaker.isolate();
    });
    expect(await play(breaker, 'fffws', lab)).toBe('fffx');
    expect(breaker.state).toBe('isolated');
    expect(breaker.stats).toMatchObject({ rejectedCalls: 1, inFlight: 0 });
  });

  it('a listener may call through the breaker', async () => {
    const breaker = brisk();
    const seen: Promise<unknown>[] = [];
    breaker.onStateChange(() => seen.push(settled(breaker.execute(() => 'within'))));
    await play(breaker, 'fffwss', lab);
    expect(await Promise.all(seen)).toMatchObject([
      { error: { code: 'CIRCUIT_OPEN' } },
      { value: 'within' },
      { value: 'within' },
    ]);
  });

  it('a logger that throws does not silence the changes that follow', async () => {
    const told: string[] = [];
    const breaker = new CircuitBreaker(
      'b',
      { failureThreshold: 1, onStateChange: throws },
      { runtime: { ...lab.runtime, logger: { error: throws, warn: throws } } },
    );
    breaker.onStateChange(({ to }) => told.push(to));
    await play(breaker, 'fwss', lab);
    expect(told).toEqual(['open', 'half_open', 'closed']);
  });
});

describe('R84 an opening says why', () => {
  it('with the rule, its figures and the commonest failures', async () => {
    const breaker = breakerWith({ failureThreshold: 6 });
    const errors = [
      coded('EPIPE'),
      new TypeError(),
      coded('EPIPE'),
      'text',
      coded('EPIPE'),
      undefined,
    ];
    for (const error of errors) {
      await settled(breaker.execute(() => Promise.reject(error as Error)));
    }
    expect(breaker.snapshot().lastOpening).toEqual({
      rule: 'consecutive_failures',
      figures: { failures: 6, failureThreshold: 6 },
      topFailures: [
        { name: 'EPIPE', count: 3 },
        { name: 'TypeError', count: 1 },
        { name: 'string', count: 1 },
        { name: 'undefined', count: 1 },
      ],
    });
  });

  it('also to listeners, and of a failed probe', async () => {
    const openings: unknown[] = [];
    const breaker = brisk({ onStateChange: ({ opening }) => openings.push(opening) });
    await play(breaker, 'fffwsf', lab);
    expect(openings).toMatchObject([
      { rule: 'consecutive_failures' },
      undefined,
      {
        rule: 'probe_failed',
        figures: { probeSuccesses: 1 },
        topFailures: [{ name: 'Error', count: 1 }],
      },
    ]);
  });

  it('is bounded, whatever fails', async () => {
    const breaker = breakerWith({ failureThreshold: 500 });
    const hostile = new Proxy({}, { get: throws });
    const nameless = Object.assign(new Error(), { name: '' });
    for (let at = 0; at < 494; at++) {
      await settled(breaker.execute(() => Promise.reject(coded(`CODE_${String(at)}`))));
    }
    const known = [coded('CODE_0'), coded('CODE_0')];
    for (const error of [...known, hostile, hostile, nameless, coded('X'.repeat(1000))]) {
      await settled(breaker.execute(() => Promise.reject(error as Error)));
    }
    const { topFailures = [] } = breaker.snapshot().lastOpening ?? {};
    expect(topFailures).toHaveLength(5);
    expect(topFailures[0]).toEqual({ name: '(other)', count: 448 });
    expect(topFailures[1]).toEqual({ name: 'CODE_0', count: 3 });
  });

  it.each<[unknown, string]>([
    [new Proxy({}, { get: throws }), 'unreadable'],
    [Object.assign(new Error(), { name: '' }), 'object'],
    [Object.assign(new Error(), { code: 404 }), 'Error'],
    [coded('X'.repeat(1000)), 'X'.repeat(80)],
    [null, 'object'],
  ])('and names every failure shortly', async (error, name) => {
    const breaker = breakerWith({ failureThreshold: 1, isFailure: () => true });
    await settled(breaker.execute(() => Promise.reject(error as Error)));
    expect(breaker.snapshot().lastOpening?.topFailures).toEqual([{ name, count: 1 }]);
  });
});

describe('R19 filters and predicates that throw', () => {
  it.each<[string, CircuitBreakerOptions]>([
    ['failureExceptions', { failureExceptions: throws }],
    ['ignoreExceptions', { ignoreExceptions: throws }],
  ])('%s: the call is a failure; the caller sees its own error', async (_name, options) => {
    const breaker = brisk({ ...options });
    await expect(breaker.execute(() => Promise.reject(down))).rejects.toBe(down);
    expect(breaker.stats).toMatchObject({ failedCalls: 1, inFlight: 0 });
    expect(lab.logger.errors).toEqual([
      {
        message: 'Circuit breaker "payments": an error filter threw; the call counts as a failure',
        cause: boom,
      },
    ]);
  });

  it('isFailure: the call is a failure; the caller sees its own value', async () => {
    const breaker = brisk({ isFailure: throws, failureThreshold: 1 });
    expect(await breaker.execute(() => 'value')).toBe('value');
    expect(breaker.state).toBe('open');
    expect(lab.logger.errors).toEqual([
      {
        message: 'Circuit breaker "payments": isFailure threw; the call counts as a failure',
        cause: boom,
      },
    ]);
    expect(breaker.stats).toMatchObject({ failedCalls: 1, inFlight: 0 });
    lab.clock.jump(30_000);
    expect(await breaker.execute(() => 'probe')).toBe('probe'); // and no permit leaks
    expect(breaker.state).toBe('open');
  });

  it('an error with hostile getters leaks nothing', async () => {
    const hostile = new Proxy({}, { get: throws, has: throws, getPrototypeOf: throws });
    const breaker = brisk({ failureExceptions: ['EPIPE', TypeError] });
    const outcome = await settled(breaker.execute(() => Promise.reject(hostile as Error)));
    expect((outcome as { error: unknown }).error === hostile).toBe(true);
    expect(breaker.stats).toMatchObject({ failedCalls: 1, inFlight: 0 });
  });

  it('a value with a hostile then leaks nothing', async () => {
    const hostile = Object.defineProperty({}, 'then', { get: throws });
    const breaker = brisk();
    await settled(breaker.execute(() => hostile));
    const guarded = breaker.protect(() => hostile);
    expect([guarded(), guarded()]).toEqual([hostile, hostile]);
    expect(breaker.stats).toMatchObject({ totalCalls: 3, inFlight: 0 });
  });
});

describe('executeSync', () => {
  it('gives the value, counts, and throws the very error', () => {
    const breaker = brisk();
    expect(breaker.executeSync(() => 42)).toBe(42);
    const fails = (): never => {
      throw down;
    };
    for (let call = 0; call < 3; call++) {
      expect(thrownBy(() => breaker.executeSync(fails))).toBe(down);
    }
    const work = jest.fn();
    expect(thrownBy(() => breaker.executeSync(work))).toBeInstanceOf(CircuitBreakerError);
    expect(work).not.toHaveBeenCalled();
    expect(breaker.stats).toMatchObject({ successfulCalls: 1, failedCalls: 3, rejectedCalls: 1 });
  });

  it('tells the work its attempt and a signal', () => {
    brisk().executeSync(({ attempt, signal }) => {
      expect([attempt, signal.aborted]).toEqual([1, false]);
    });
  });

  it('settles by the promise where the work gives one after all', async () => {
    const breaker = brisk();
    await expect(breaker.executeSync(() => Promise.reject(down))).rejects.toBe(down);
    expect(breaker.stats.failedCalls).toBe(1);
  });
});

describe('execute', () => {
  it('rejects, and never throws, whatever the work does', async () => {
    const running = brisk().execute(throws);
    expect(running).toBeInstanceOf(Promise);
    await expect(running).rejects.toBe(boom);
  });

  it.each<[string, () => unknown]>([
    ['a promise', () => Promise.resolve('value')],
    ['a plain value', () => 'value'],
    ['a thenable', () => ({ then: (ok: (value: string) => void) => ok('value') })],
    [
      'a function that is a thenable',
      () => Object.assign(() => 0, { then: (ok: (value: string) => void) => ok('value') }),
    ],
  ])('gives the value of %s', async (_what, work) => {
    const breaker = brisk();
    expect(await breaker.execute(work)).toBe('value');
    expect(breaker.stats).toMatchObject({ successfulCalls: 1, inFlight: 0 });
  });

  it('waits for a thenable function before it counts', async () => {
    const breaker = brisk();
    const query = Object.assign(() => 0, {
      then: (_ok: unknown, failed: (error: unknown) => void) => failed(down),
    });
    await expect(breaker.execute(() => query as unknown)).rejects.toBe(down);
    expect(breaker.stats).toMatchObject({ failedCalls: 1, successfulCalls: 0 });
  });

  it('a nested breaker counts its own calls', async () => {
    const [outer, inner] = [brisk(), brisk({ failureThreshold: 1 })];
    const call = (): Promise<unknown> => outer.execute(() => inner.execute(throws));
    await settled(call());
    await settled(call());
    expect(inner.stats).toMatchObject({ failedCalls: 1, rejectedCalls: 1 });
    expect(outer.stats).toMatchObject({ failedCalls: 1, ignoredCalls: 1 });
  });
});

describe('R20 protect', () => {
  it('keeps this, name, length and what else a function carries', async () => {
    class Service {
      rate = 2;
      async charge(amount: number, currency: string): Promise<string> {
        return `${String(this.rate * amount)} ${currency}`;
      }
    }
    const charge = Object.assign(Service.prototype.charge, { tag: 'kept' });
    const guarded = brisk().protect(charge);
    expect([guarded.name, guarded.length, guarded.tag]).toEqual(['charge', 2, 'kept']);
    expect(await guarded.call(new Service(), 21, 'EUR')).toBe('42 EUR');
  });

  it('keeps a synchronous function synchronous, and throws when open', () => {
    const breaker = brisk({ failureThreshold: 1 });
    const parse = breaker.protect((text: string) => JSON.parse(text) as unknown);
    expect(parse('[1]')).toEqual([1]);
    expect(() => parse('{')).toThrow(SyntaxError);
    expect(() => parse('[1]')).toThrow(CircuitBreakerError);
  });

  it('rejects for an asynchronous function that has never been called', async () => {
    const breaker = brisk();
    breaker.isolate();
    const rejected = breaker.protect(async () => 'never')();
    await expect(rejected).rejects.toBeInstanceOf(CircuitBreakerError);
  });

  it('rejects for a function whose kind nothing has shown yet (R43)', async () => {
    const breaker = brisk();
    const hold = breaker.isolate();
    const guarded = breaker.protect(() => 'plain');
    await expect(guarded()).rejects.toBeInstanceOf(CircuitBreakerError);
    hold.release();
    expect(guarded()).toBe('plain');
    breaker.isolate();
    expect(guarded).toThrow(CircuitBreakerError); // now it has
  });

  it('learns from a function that gives promises without saying so', async () => {
    const breaker = brisk();
    const guarded = breaker.protect(() => Promise.resolve('value'));
    expect(await guarded()).toBe('value');
    breaker.isolate();
    await expect(guarded()).rejects.toBeInstanceOf(CircuitBreakerError);
  });

  it('counts an async generator as one call from the first item to the end', async () => {
    const breaker = brisk();
    const guarded = breaker.protect(async function* (to: number) {
      for (let n = 0; n < to; n++) yield n;
    });
    const seen: number[] = [];
    const numbers = guarded(3);
    expect(breaker.stats.totalCalls).toBe(0);
    for await (const n of numbers) {
      seen.push(n);
      expect(breaker.stats.inFlight).toBe(1);
    }
    await lab.clock.runAll();
    expect(seen).toEqual([0, 1, 2]);
    expect(breaker.stats).toMatchObject({ totalCalls: 1, successfulCalls: 1, inFlight: 0 });
  });
});

describe('R21 tryAcquire', () => {
  it.each<
    [string, (permit: NonNullable<ReturnType<CircuitBreaker['tryAcquire']>>) => void, object]
  >([
    ['success', (permit) => permit.success(), { successfulCalls: 1 }],
    ['failure', (permit) => permit.failure(down), { failedCalls: 1, lastFailure: down }],
    ['failure with an abort', (permit) => permit.failure(abort()), { ignoredCalls: 1 }],
    ['release', (permit) => permit.release(), { ignoredCalls: 1 }],
  ])('%s settles it, and only the first counts', (_what, settle, expected) => {
    const breaker = brisk();
    const permit = breaker.tryAcquire();
    expect(breaker.stats.inFlight).toBe(1);
    settle(permit as NonNullable<typeof permit>);
    permit?.success();
    permit?.failure(down);
    permit?.release();
    expect(breaker.stats).toMatchObject({ totalCalls: 1, inFlight: 0, ...expected });
  });

  it('shows isFailure the value', () => {
    const breaker = brisk({ isFailure: (value) => value === 'poor' });
    breaker.tryAcquire()?.success('poor');
    breaker.tryAcquire()?.success('good');
    expect(breaker.stats).toMatchObject({ failedCalls: 1, successfulCalls: 1 });
  });

  it('gives nothing while open, and counts the rejection', async () => {
    const breaker = brisk();
    await play(breaker, 'fff', lab);
    expect(breaker.tryAcquire()).toBeUndefined();
    expect(breaker.stats.rejectedCalls).toBe(1);
  });

  it('probes like any other call', async () => {
    const breaker = brisk({ halfOpenMaxCalls: 1, successThreshold: 2 });
    await play(breaker, 'fffw', lab);
    const first = breaker.tryAcquire();
    expect(breaker.tryAcquire()).toBeUndefined();
    first?.release();
    breaker.tryAcquire()?.success();
    breaker.tryAcquire()?.success();
    expect(breaker.state).toBe('closed');
  });
});

describe('options', () => {
  it.each<[object, string]>([
    [{ failureThreshold: 0 }, 'failureThreshold must be a whole number of at least 1, got 0'],
    [{ failureThreshold: '5' }, 'failureThreshold must be a whole number of at least 1, got "5"'],
    [{ recoveryTimeout: -1 }, 'recoveryTimeout must be a duration'],
    [{ recoveryTimeout: 'soon' }, 'recoveryTimeout must be a duration'],
    [{ recoveryTimeout: async () => 5 }, 'be a function that returns a duration (not async)'],
    [{ halfOpenMaxCalls: 1.5 }, 'halfOpenMaxCalls must be a whole number'],
    [{ successThreshold: NaN }, 'successThreshold must be a whole number'],
    [
      { failureExceptions: [undefined] },
      'failureExceptions must be an error class, an error code, a predicate (not async), or a list of these',
    ],
    [{ ignoreExceptions: 7 }, 'ignoreExceptions must be an error class'],
    [{ isFailure: 'x' }, 'isFailure must be a function'],
    [{ isFailure: async () => true }, 'not async'],
    [{ onStateChange: {} }, 'onStateChange must be a function'],
    [{ probeTimeout: 0 }, 'probeTimeout must be a duration'],
    [{ captureStack: 'yes' }, 'captureStack must be true or false'],
    [
      { failureTreshold: 5 },
      'failureTreshold is not a known option; did you mean "failureThreshold"?',
    ],
    [{ zzz: 5 }, 'circuitBreaker(payments).zzz is not a known option'],
  ])('%p is refused, by its name', (options, message) => {
    expect(() => breakerWith(options)).toThrow(ResilienceConfigError);
    expect(() => breakerWith(options)).toThrow(`circuitBreaker(payments).`);
    expect(() => breakerWith(options)).toThrow(message);
  });

  it('are refused all at once', () => {
    const error = thrownBy(() =>
      breakerWith({
        failureThreshold: -1,
        recoveryTimeout: 'x',
        captureStack: 1,
        typo: true,
      } as object),
    ) as ResilienceConfigError;
    expect(error.issues).toHaveLength(4);
  });

  it.each([null, 5, 'options', [], () => 1])('%p are none', (options) => {
    expect(() => breakerWith(options as object)).toThrow('must be an object of options');
  });

  it.each(['', '  ', 5, null, {}])('%p is no name', (name) => {
    expect(() => new CircuitBreaker(name as string)).toThrow('name must be a non-empty string');
  });

  it('are refused together with the name', () => {
    const make = (): unknown => new CircuitBreaker(5 as never, { failureThreshold: 0 });
    expect((thrownBy(make) as ResilienceConfigError).issues).toEqual([
      'circuitBreaker name must be a non-empty string, got 5',
      'circuitBreaker(?).failureThreshold must be a whole number of at least 1, got 0',
    ]);
  });

  it('are one object for all breakers without any', () => {
    expect(new CircuitBreaker('a').options).toBe(new CircuitBreaker('b').options);
  });

  it('that are undefined are absent, known or not', () => {
    const options = { failureThreshold: undefined, isFailure: undefined, typo: undefined };
    expect(breakerWith(options).options).toEqual(breakerWith().options);
  });

  it('are read once and shown frozen, in milliseconds', () => {
    const options: CircuitBreakerOptions = { failureThreshold: 2, recoveryTimeout: '1m' };
    const breaker = breakerWith(options);
    options.failureThreshold = 99;
    expect(breaker.options).toMatchObject({ failureThreshold: 2, recoveryTimeout: 60_000 });
    expect(Object.isFrozen(breaker.options)).toBe(true);
  });
});

describe('R81 a breaker shows itself', () => {
  it('by a stable id and a plain snapshot', async () => {
    const breaker = brisk();
    await play(breaker, 'fff', lab);
    lab.clock.jump(1000);
    expect(breaker.snapshot()).toEqual({
      id: 'breaker:payments',
      kind: 'circuitBreaker',
      name: 'payments',
      options: breaker.options,
      state: 'open',
      stats: breaker.stats,
      timeInStates: { closed: 0, open: 1000 },
      remainingTimeout: 29_000,
      lastOpening: expect.objectContaining({ rule: 'consecutive_failures' }),
    });
    expect(brisk().snapshot()).not.toHaveProperty('lastOpening');
    expect(brisk().snapshot()).not.toHaveProperty('remainingTimeout');
  });

  it('R80 takes its clock from nowhere but its runtime', async () => {
    const other = new Lab();
    const [a, b] = [brisk(), new CircuitBreaker('b', { failureThreshold: 3 }, other)];
    await play(a, 'fff', lab);
    await play(b, 'fff', other);
    lab.clock.jump(30_000);
    expect(await play(a, 's', lab)).toBe('s');
    expect(await play(b, 's', other)).toBe('x');
  });
});
