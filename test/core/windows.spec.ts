import {
  CircuitBreaker,
  type CircuitBreakerOptions,
  ResilienceConfigError,
  type WindowOptions,
} from 'nestjs-bulwark/core';
import { Lab, coded, down, thrownBy } from '../support/lab.js';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});

const breakerWith = (options: CircuitBreakerOptions): CircuitBreaker =>
  new CircuitBreaker('payments', options, { runtime: lab.runtime });
const withWindow = (window: WindowOptions): CircuitBreaker => breakerWith({ window });

/** Calls that take no time: `s` succeeds, `f` fails, `i` tells nothing; `.` is a second gone by. */
function record(breaker: CircuitBreaker, history: string): string {
  for (const letter of history) {
    if (letter === '.') {
      lab.clock.jump(1000);
      continue;
    }
    const permit = breaker.tryAcquire();
    if (letter === 's') permit?.success();
    if (letter === 'f') permit?.failure(down);
    if (letter === 'i') permit?.release();
  }
  return breaker.state;
}

/** A call that takes `seconds`. */
function call(breaker: CircuitBreaker, seconds: number, failed = false): string {
  const permit = breaker.tryAcquire();
  lab.clock.jump(seconds * 1000);
  if (failed) permit?.failure(down);
  else permit?.success();
  return breaker.state;
}

const byTime = (more?: Partial<Extract<WindowOptions, { type: 'time' }>>): WindowOptions => ({
  type: 'time',
  duration: '20s',
  minimumCalls: 5,
  failureRate: 0.5,
  ...more,
});
const byCount = (more?: Partial<Extract<WindowOptions, { type: 'count' }>>): WindowOptions => ({
  type: 'count',
  size: 4,
  minimumCalls: 4,
  failureRate: 0.5,
  ...more,
});

describe('R70 a time window of 20 s, five calls, 50%', () => {
  it.each([
    ['fffs', 'closed'],
    ['fffss', 'open'], // though the fifth call succeeds
    ['f.f.f.s.s', 'open'],
    ['s.s.s.f.f', 'closed'],
    ['s.s.s.f.f.f', 'open'],
    ['ffff', 'closed'],
    ['ffffi', 'closed'], // what tells nothing is no completed call
    ['ffff..................s', 'open'], // 18 s later all five are in it
    ['ffff....................s', 'closed'], // 20 s later the four are not
    ['ffff....................ffff', 'closed'],
    ['ffff....................fffff', 'open'],
    ['sssss..........fffff', 'open'],
  ])('after "%s" it is %s', (history, state) => {
    expect(record(withWindow(byTime()), history)).toBe(state);
  });

  it('opens on the very call', () => {
    const breaker = withWindow(byTime());
    expect(['f', 'f', 'f', 's', 's'].map((each) => record(breaker, each))).toEqual([
      ...Array<string>(4).fill('closed'),
      'open',
    ]);
  });

  it('rejects from then on', async () => {
    const breaker = withWindow(byTime());
    record(breaker, 'fffss');
    expect(breaker.tryAcquire()).toBeUndefined();
    expect(await lab.errorOf(breaker.execute(() => 1))).toMatchObject({
      state: 'open',
      remainingTimeout: 30_000,
    });
  });
});

describe('R70 a time window moves on', () => {
  it('forgets four failures over five idle minutes', () => {
    const breaker = withWindow(byTime({ duration: '5s' }));
    record(breaker, 'ffff');
    lab.clock.jump(300_000);
    expect(record(breaker, 'f')).toBe('closed');
    expect(record(breaker, 'fff')).toBe('closed');
    expect(record(breaker, 'f')).toBe('open');
  });

  it.each([
    ['just before its tenth of the window is over', 8999, 'open'],
    ['in the last tenth', 9999, 'open'],
    ['when the window is over', 10_000, 'closed'],
    ['a whole number of windows later', 100_000, 'closed'],
    ['a month later', 2_592_000_000, 'closed'],
  ])('%s, a failure and one more make it %s', (_when, later, state) => {
    const breaker = withWindow({ type: 'time', duration: '10s', minimumCalls: 2, failureRate: 1 });
    record(breaker, 'f');
    lab.clock.jump(later);
    expect(record(breaker, 'f')).toBe(state);
  });

  it('counts a call at the edge of a tenth to the one that begins', () => {
    const breaker = withWindow({ type: 'time', duration: '10s', minimumCalls: 2, failureRate: 1 });
    expect(record(breaker, 's.f')).toBe('closed');
    lab.clock.jump(9999);
    expect(record(breaker, 'f')).toBe('open');
  });

  it('forgets tenth by tenth, not all at once', () => {
    const breaker = withWindow({ type: 'time', duration: '10s', minimumCalls: 8, failureRate: 1 });
    expect(record(breaker, 'f.f.f.f.f.f.f')).toBe('closed'); // seconds 0 to 6
    lab.clock.jump(5000); // second 11: those of seconds 0 and 1 have gone
    expect(record(breaker, 'ff')).toBe('closed');
    expect(record(breaker, 'f')).toBe('open');
  });

  it('R19 does not mind a step of the wall clock', () => {
    const breaker = withWindow(byTime());
    record(breaker, 'ffff');
    lab.clock.stepWallTime(86_400_000);
    expect(record(breaker, 'f')).toBe('open');
  });

  it('counts a call when it is over, not when it began', () => {
    const breaker = withWindow(byTime({ minimumCalls: 2 }));
    const permits = [breaker.tryAcquire(), breaker.tryAcquire()];
    lab.clock.jump(60_000);
    permits[0]?.failure(down);
    expect(breaker.state).toBe('closed');
    permits[1]?.failure(down);
    expect(breaker.state).toBe('open');
  });
});

describe('R70 a count window', () => {
  it.each([
    ['fff', 'closed'],
    ['fffs', 'open'],
    ['sssf', 'closed'],
    ['sssff', 'open'],
    ['sffs', 'open'],
    ['fsss', 'closed'],
    ['fsssf', 'closed'], // the first has left it
    ['fsssfsss', 'closed'],
    ['sssfif', 'open'],
    ['sss....................ff', 'open'], // it does not know the time
  ])('of four calls and 50% is, after "%s", %s', (history, state) => {
    expect(record(withWindow(byCount()), history)).toBe(state);
  });

  it('decides early with a minimum below its size', () => {
    expect(record(withWindow(byCount({ size: 100, minimumCalls: 2 })), 'ff')).toBe('open');
    expect(record(withWindow(byCount({ size: 100, minimumCalls: 3 })), 'ff')).toBe('closed');
  });

  it.each<[WindowOptions, number]>([
    [{ type: 'count' }, 10],
    [{ type: 'count', size: 5 }, 5],
    [{ type: 'count', size: 5, minimumCalls: 2 }, 2],
    [{ type: 'time' }, 10],
    [{ type: 'time', minimumCalls: 25 }, 25],
    [{ type: 'time', minimumCalls: undefined }, 10],
  ])('%j asks for %d calls', (window, minimumCalls) => {
    const breaker = withWindow(window);
    expect(breaker.options.window).toMatchObject({ minimumCalls, failureRate: 0.5 });
    expect(record(breaker, 'f'.repeat(minimumCalls - 1))).toBe('closed');
    expect(record(breaker, 'f')).toBe('open');
  });
});

describe('R70 a share is reached with >=, however it rounds', () => {
  const decideAt = (calls: number, failures: number, failureRate: number): string => {
    const window = byCount({ size: calls, minimumCalls: calls, failureRate });
    const history = 's'.repeat(calls - failures) + 'f'.repeat(failures);
    return record(withWindow(window), history);
  };

  it.each([
    [0.1, 30, 3],
    [0.07, 100, 7],
    [0.55, 100, 55],
    [0.3, 10, 3],
    [0.6, 5, 3],
    [0.7, 10, 7],
    [1 / 3, 3, 1],
    [0.001, 1000, 1],
    [1, 7, 7],
  ])('%d of %d calls is %d', (failureRate, calls, failures) => {
    expect(decideAt(calls, failures, failureRate)).toBe('open');
    expect(decideAt(calls, failures - 1, failureRate)).toBe('closed');
  });

  it('for every whole per cent of every number of calls up to 200', () => {
    const wrong: string[] = [];
    for (let percent = 1; percent <= 100; percent++) {
      const failureRate = Number(`${String(percent)}e-2`);
      for (let calls = 1; calls <= 200; calls++) {
        if ((percent * calls) % 100 !== 0) continue;
        const failures = (percent * calls) / 100;
        const states = [failures, failures - 1].map((each) => decideAt(calls, each, failureRate));
        if (states.join() !== 'open,closed') wrong.push(`${String(percent)}% of ${String(calls)}`);
      }
    }
    expect(wrong).toEqual([]);
  });

  it('for slow calls too', () => {
    const window = byTime({
      failureRate: 1,
      minimumCalls: 30,
      slowCallRate: 0.1,
      slowCallDuration: 100,
    });
    const breaker = withWindow(window);
    for (let at = 0; at < 27; at++) call(breaker, 0);
    for (let at = 0; at < 2; at++) expect(call(breaker, 0.2)).toBe('closed');
    expect(call(breaker, 0.2)).toBe('open');
  });
});

describe('R70 slow calls', () => {
  const slow = { slowCallRate: 0.5, slowCallDuration: '4s', failureRate: 1 } as const;

  it.each<[string, WindowOptions]>([
    ['time', byTime({ duration: '60s', ...slow })],
    ['count', byCount({ size: 5, minimumCalls: 5, ...slow })],
  ])('of 5, 5, 0.1, 0.1 and 5 s open a %s window at the fifth', (_type, window) => {
    const breaker = withWindow(window);
    const states = [5, 5, 0.1, 0.1, 5].map((seconds) => call(breaker, seconds));
    expect(states).toEqual(['closed', 'closed', 'closed', 'closed', 'open']);
  });

  it('are those that take longer, not as long', () => {
    const breaker = withWindow(byCount(slow));
    for (let at = 0; at < 8; at++) expect(call(breaker, 4)).toBe('closed');
    expect([1, 2].map(() => call(breaker, 4.001))).toEqual(['closed', 'open']);
  });

  it('and failed calls are counted apart: a slow failure is both', () => {
    const breaker = withWindow(byCount({ ...slow, slowCallRate: 0.75, failureRate: 0.75 }));
    call(breaker, 5, true);
    call(breaker, 5, true);
    expect(call(breaker, 0, true)).toBe('closed');
    expect(call(breaker, 5)).toBe('open');
    expect(breaker.snapshot().lastOpening).toMatchObject({ rule: 'failure_rate' });
  });

  it('leave with their call', () => {
    const breaker = withWindow(byCount(slow));
    for (const seconds of [5, 0, 0, 0, 0, 5, 0, 0, 0, 5]) {
      expect(call(breaker, seconds)).toBe('closed');
    }
  });

  it('that tell nothing do not count', () => {
    const breaker = withWindow(byCount({ ...slow, minimumCalls: 1 }));
    const permit = breaker.tryAcquire();
    lab.clock.jump(10_000);
    permit?.release();
    expect(breaker.state).toBe('closed');
    expect(breaker.stats.ignoredCalls).toBe(1);
  });

  it('are timed while they overlap', async () => {
    const breaker = withWindow(byCount({ ...slow, size: 2, minimumCalls: 2 }));
    const [first, second] = [breaker.tryAcquire(), breaker.tryAcquire()];
    lab.clock.jump(3000);
    first?.success();
    lab.clock.jump(2000);
    second?.success();
    expect(breaker.snapshot().lastOpening).toEqual({
      rule: 'slow_call_rate',
      figures: { calls: 2, slowCalls: 1, slowCallRate: 0.5 },
      topFailures: [],
    });
  });

  it('of an earlier period change nothing (R14)', () => {
    const breaker = withWindow(byCount({ ...slow, minimumCalls: 1 }));
    const permits = [1, 2, 3].map(() => breaker.tryAcquire());
    breaker.reset();
    lab.clock.jump(10_000);
    permits[0]?.success();
    permits[1]?.failure(down);
    permits[2]?.success();
    expect(breaker.state).toBe('closed');
    expect(breaker.stats).toMatchObject({ successfulCalls: 2, failedCalls: 1, inFlight: 0 });
  });
});

describe('R70 the clock', () => {
  it.each<[string, CircuitBreakerOptions, boolean]>([
    ['failures in a row', {}, false],
    ['a count window', { window: { type: 'count' } }, false],
    [
      'a count window with slow calls',
      { window: { type: 'count', slowCallRate: 1, slowCallDuration: 5 } },
      true,
    ],
    ['a time window', { window: { type: 'time' } }, true],
  ])('is read, for %s, only where it is needed', (_what, options, isRead) => {
    const breaker = breakerWith(options);
    record(breaker, 's');
    let reads = 0;
    const now = lab.clock.now.bind(lab.clock);
    lab.clock.now = () => {
      reads++;
      return now();
    };
    record(breaker, 'sfs');
    expect(reads > 0).toBe(isRead);
  });
});

describe('R84 an opening says why', () => {
  class Declined extends Error {}

  it.each<[string, CircuitBreakerOptions, string, object]>([
    [
      'failures in a row',
      { failureThreshold: 2 },
      'sff',
      { rule: 'consecutive_failures', figures: { failures: 2, failureThreshold: 2 } },
    ],
    [
      'a count window',
      { window: byCount() },
      'sssff',
      { rule: 'failure_rate', figures: { calls: 4, failures: 2, failureRate: 0.5 } },
    ],
    [
      'a time window',
      { window: byTime() },
      'fffss',
      { rule: 'failure_rate', figures: { calls: 5, failures: 3, failureRate: 0.5 } },
    ],
  ])('%s', (_what, options, history, report) => {
    const told: unknown[] = [];
    const breaker = breakerWith({ ...options, onStateChange: ({ opening }) => told.push(opening) });
    expect(breaker.snapshot()).not.toHaveProperty('lastOpening');
    record(breaker, history);
    const expected = breaker.snapshot().lastOpening;
    expect(expected).toMatchObject(report);
    expect(told).toEqual([expected]);
  });

  it('a probe that failed', () => {
    const breaker = breakerWith({ failureThreshold: 1 });
    record(breaker, 'f');
    lab.clock.jump(30_000);
    record(breaker, 'sf');
    expect(breaker.snapshot().lastOpening).toEqual({
      rule: 'probe_failed',
      figures: { probeSuccesses: 1, probeFailures: 1 },
      topFailures: [{ name: 'Error', count: 1 }],
    });
  });

  it('names the five commonest failures by code or class, the commonest first', () => {
    const breaker = breakerWith({ failureThreshold: 17 });
    const failures: [unknown, number][] = [
      [coded('ECONNRESET'), 6],
      [new TypeError('fetch failed'), 4],
      [new Declined('card'), 3],
      ['a string', 2],
      [coded(''), 1],
      [null, 1],
    ];
    for (const [error, times] of failures) {
      for (let at = 0; at < times; at++) breaker.tryAcquire()?.failure(error);
    }
    expect(breaker.snapshot().lastOpening?.topFailures).toEqual([
      { name: 'ECONNRESET', count: 6 },
      { name: 'TypeError', count: 4 },
      { name: 'Declined', count: 3 },
      { name: 'string', count: 2 },
      { name: 'Error', count: 1 },
    ]);
  });

  it('counts failures since it last closed', () => {
    const breaker = breakerWith({ failureThreshold: 2, successThreshold: 1 });
    for (const code of ['OLD', 'OLD']) breaker.tryAcquire()?.failure(coded(code));
    lab.clock.jump(30_000);
    record(breaker, 's');
    for (const code of ['NEW', 'NEWER']) breaker.tryAcquire()?.failure(coded(code));
    expect(breaker.snapshot().lastOpening?.topFailures.map(({ name }) => name)).toEqual([
      'NEW',
      'NEWER',
    ]);
  });

  it('is bounded, however many names and however long ones the failures have', () => {
    const breaker = breakerWith({ failureThreshold: 100_000 });
    for (let at = 0; at < 99_999; at++) breaker.tryAcquire()?.failure(coded(`E${String(at)}`));
    breaker.tryAcquire()?.failure(coded('x'.repeat(100_000)));
    const { topFailures } = breaker.snapshot().lastOpening ?? { topFailures: [] };
    expect(topFailures).toHaveLength(5);
    expect(topFailures[0]).toEqual({ name: '(other)', count: 99_950 });
    const other = breakerWith({ failureThreshold: 1 });
    other.tryAcquire()?.failure(coded('x'.repeat(100_000)));
    expect(other.snapshot().lastOpening?.topFailures[0]?.name).toHaveLength(80);
  });

  it('R19 does not mind errors that hide what they are', () => {
    const hostile = {
      get code(): string {
        throw new Error('no');
      },
    };
    const breaker = breakerWith({ failureThreshold: 3 });
    for (const error of [hostile, { name: 7 }, Object.create(null)]) {
      breaker.tryAcquire()?.failure(error);
    }
    expect(breaker.snapshot().lastOpening?.topFailures).toEqual([
      { name: 'object', count: 2 },
      { name: 'unreadable', count: 1 },
    ]);
  });
});

describe('R83 time in states', () => {
  it('adds up, the present state included, and nothing is lost', () => {
    const breaker = breakerWith({ failureThreshold: 1, recoveryTimeout: 100 });
    const times = (): object => breaker.snapshot().timeInStates;
    lab.clock.jump(7);
    expect(times()).toEqual({ closed: 7 });
    record(breaker, 'f');
    lab.clock.jump(130);
    expect(times()).toEqual({ closed: 7, open: 130 });
    record(breaker, 's');
    lab.clock.jump(3);
    expect(times()).toEqual({ closed: 7, open: 130, half_open: 3 });
    record(breaker, 's');
    lab.clock.jump(1);
    const isolation = breaker.isolate();
    lab.clock.jump(50);
    isolation.release();
    const disabling = breaker.disable();
    lab.clock.jump(60);
    disabling.release();
    lab.clock.jump(2);
    expect(times()).toEqual({
      closed: 10,
      open: 130,
      half_open: 3,
      isolated: 50,
      disabled: 60,
    });
    expect(Object.values(times()).reduce((sum: number, ms: number) => sum + ms, 0)).toBe(
      lab.clock.now(),
    );
  });

  it('counts from when the breaker was made, not from its first call', () => {
    const breaker = breakerWith({});
    lab.clock.jump(500);
    record(breaker, 's');
    expect(breaker.snapshot().timeInStates).toEqual({ closed: 500 });
  });

  it('goes on through a reset of a closed breaker, and the wall clock has no say', () => {
    const breaker = breakerWith({});
    lab.clock.jump(5);
    breaker.reset();
    lab.clock.stepWallTime(-1_000_000);
    lab.clock.jump(5);
    expect(breaker.snapshot().timeInStates).toEqual({ closed: 10 });
  });
});

describe('R70 bad options', () => {
  it.each<[string, unknown, string]>([
    ['nothing', null, 'window must be an object such as { type: "count" }, got null'],
    ['a type', 'time', 'window must be an object such as { type: "time" }, got "time"'],
    ['a word', 'calls', 'window must be an object such as { type: "count" }, got "calls"'],
    ['a word of objects', 'toString', 'such as { type: "count" }, got "toString"'],
    ['a number', 5, 'window must be an object such as { type: "count" }, got 5'],
    ['no type', {}, 'window.type must be one of'],
    ['an unknown type', { type: 'counts' }, 'window.type must be one of'],
    ['a nearby type', { type: 'tyme' }, 'did you mean "time"'],
    ['an unknown option', { type: 'count', siez: 5 }, 'window.siez is not a known option'],
    ['the nearest name', { type: 'count', siez: 5 }, 'did you mean "size"'],
    ['an option of another type', { type: 'consecutive', size: 5 }, 'window.size is not a known'],
    ['a duration for a count', { type: 'count', duration: 5 }, 'window.duration is not a known'],
    ['a size for a time', { type: 'time', size: 5 }, 'window.size is not a known'],
    ['size 0', { type: 'count', size: 0 }, 'window.size must be a whole number'],
    ['size 1.5', { type: 'count', size: 1.5 }, 'window.size must be a whole number'],
    ['size of a million and one', { type: 'count', size: 1_000_001 }, 'at most 1000000'],
    ['a duration of 9 ms', { type: 'time', duration: 9 }, 'window.duration must be a duration'],
    ['a duration that is none', { type: 'time', duration: 'soon' }, 'window.duration must be'],
    ['failureRate 0', { type: 'count', failureRate: 0 }, 'window.failureRate must be a number'],
    ['failureRate in per cent', { type: 'time', failureRate: 50 }, 'at most 1, got 50'],
    ['failureRate NaN', { type: 'time', failureRate: NaN }, 'window.failureRate must be'],
    ['failureRate as text', { type: 'time', failureRate: '0.5' }, 'window.failureRate must be'],
    ['minimumCalls 0', { type: 'time', minimumCalls: 0 }, 'window.minimumCalls must be'],
    [
      'a minimum that is never met',
      { type: 'count', size: 5, minimumCalls: 6 },
      'window.minimumCalls must not exceed size, or it is never met, got 6',
    ],
    [
      'a minimum above the default size',
      { type: 'count', minimumCalls: 101 },
      'window.minimumCalls must not exceed size',
    ],
    [
      'slowCallRate 2',
      { type: 'time', slowCallRate: 2, slowCallDuration: 1 },
      'window.slowCallRate must be',
    ],
    [
      'a slowCallDuration that is none',
      { type: 'time', slowCallRate: 1, slowCallDuration: -1 },
      'window.slowCallDuration must be',
    ],
    [
      'a slow rate alone',
      { type: 'time', slowCallRate: 0.5 },
      'window.slowCallRate and .slowCallDuration go together',
    ],
    [
      'a slow duration alone',
      { type: 'count', slowCallDuration: 5 },
      'window.slowCallRate and .slowCallDuration go together',
    ],
  ])('%s', (_what, window, problem) => {
    const error = thrownBy(() => withWindow(window as WindowOptions)) as ResilienceConfigError;
    expect(error).toBeInstanceOf(ResilienceConfigError);
    expect(error.issues.join('\n')).toContain(`circuitBreaker(payments).${problem}`.slice(0, 24));
    expect(error.issues.join('\n')).toContain(problem);
  });

  it('are named all at once, beside those of the breaker', () => {
    const error = thrownBy(() =>
      breakerWith({
        failureThreshold: 0,
        window: { type: 'count', size: 0, failureRate: 2, minimumCalls: 0 },
      }),
    ) as ResilienceConfigError;
    expect(error.issues.map((each) => each.split(' ')[0])).toEqual([
      'circuitBreaker(payments).failureThreshold',
      'circuitBreaker(payments).window.size',
      'circuitBreaker(payments).window.failureRate',
      'circuitBreaker(payments).window.minimumCalls',
    ]);
  });

  it('do not come from options that were resolved before', () => {
    const window: WindowOptions = { type: 'time', slowCallRate: 0.5, slowCallDuration: '1s' };
    const { options } = withWindow(window);
    expect(breakerWith({ window: options.window }).options.window).toEqual(options.window);
    expect(Object.isFrozen(options.window)).toBe(true);
  });
});
