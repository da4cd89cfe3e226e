import {
  type AdaptiveLimitOptions,
  type AdaptiveLimitPolicy,
  adaptiveLimit,
  pipeline,
  timeLimit,
} from 'nestjs-bulwark/core';
import { Gradient } from '../../lib/core/adaptive-limit/gradient.js';
import { Probe } from '../../lib/core/adaptive-limit/probe.js';
import {
  SamplingWindow,
  type WindowSample,
} from '../../lib/core/adaptive-limit/sampling-window.js';
import { Lab, coded, down, settled } from '../support/lab.js';

describe('the window of an adaptive limit', () => {
  it('sums up what has settled since it was opened', () => {
    const window = new SamplingWindow();
    window.open(0, 3);
    expect(window.sample).toEqual({ rtt: undefined, dropShare: 0, busiest: 3 });
    window.began(2);
    window.answered(10);
    window.answered(30);
    window.dropped();
    window.began(5);
    window.dropped();
    window.began(4);
    expect(window.sample).toEqual({ rtt: 20, dropShare: 0.5, busiest: 5 });
    window.open(0, 1);
    expect(window.sample).toEqual({ rtt: undefined, dropShare: 0, busiest: 1 });
    window.answered(8);
    expect(window.sample).toEqual({ rtt: 8, dropShare: 0, busiest: 1 });
  });

  it('is full when it has lasted long enough and seen enough calls, dropped ones too', () => {
    const window = new SamplingWindow();
    window.open(100, 0);
    window.answered(1);
    window.dropped();
    expect(window.isFull(150, 50, 2)).toBe(true);
    expect(window.isFull(149, 50, 2)).toBe(false);
    expect(window.isFull(150, 50, 3)).toBe(false);
  });
});

describe('the gradient of an adaptive limit', () => {
  const windowOf = (sample: Partial<WindowSample>): WindowSample => ({
    rtt: 100,
    dropShare: 0,
    busiest: 20,
    ...sample,
  });
  const gradientWith = (options: AdaptiveLimitOptions = {}, queue = 0): Gradient =>
    new Gradient(adaptiveLimit({ smoothing: 1, ...options }).options, () => queue);

  it.each<[string, Partial<WindowSample>, number, number, boolean]>([
    ['grows by its queue while latency is low', {}, 4, 24, true],
    ['keeps within what it lets grow', { rtt: 120 }, 4, 24, true],
    ['shrinks with latency', { rtt: 160 }, 0, 15, true],
    ['shrinks with latency, less its queue', { rtt: 160 }, 4, 19, true],
    ['shrinks by half at most', { rtt: 1200 }, 0, 10, true],
    ['shrinks with what is dropped, and its queue with it', { dropShare: 0.25 }, 4, 18, true],
    ['shrinks by what is worse', { rtt: 160, dropShare: 0.5 }, 0, 10, true],
    ['takes a latency of nothing for none', { rtt: 0 }, 4, 24, true],
    ['grows where half of it is in use', { busiest: 10 }, 4, 24, true],
    ['stays where less is in use', { busiest: 9 }, 4, 20, false],
    ['stays where less is in use and that is slow', { busiest: 9, rtt: 160 }, 4, 20, false],
    ['shrinks with drops where less is in use', { busiest: 9, dropShare: 0.25 }, 4, 15, false],
    ['knows nothing of a window without answers but drops', { rtt: undefined }, 4, 24, true],
  ])('%s', (_what, sample, queue, limit, used) => {
    const gradient = gradientWith({}, queue);
    gradient.longRtt = 100;
    expect(gradient.update(windowOf(sample))).toBe(used);
    expect(gradient.limit).toBe(limit);
  });

  it('takes on a part of what it finds, within its bounds, in whole calls', () => {
    const gradient = gradientWith({ smoothing: 0.2, maxLimit: 22 }, 4);
    const limits = [1, 2, 3, 4].map(() => {
      gradient.update(windowOf({}));
      return gradient.limit;
    });
    expect(limits).toEqual([20, 21, 22, 22]);
    const shrinking = gradientWith({ minLimit: 15 });
    shrinking.update(windowOf({ dropShare: 1 }));
    expect(shrinking.limit).toBe(15);
  });

  it('hands its queue function the limit', () => {
    const seen: number[] = [];
    const gradient = new Gradient(adaptiveLimit({}).options, (limit) => seen.push(limit));
    gradient.update(windowOf({}));
    expect(seen).toEqual([20]);
  });

  it.each<[string, Partial<WindowSample>, number]>([
    ['a slower window in use: it may be the load', { rtt: 200 }, 100],
    ['a slower window not in use: drifts up', { rtt: 200, busiest: 1 }, 110],
    ['a clearly quicker window: drifts down', { rtt: 79 }, 97.9],
    ['a little quicker window in use: within the tolerance', { rtt: 80 }, 100],
    ['a window without answers', { rtt: undefined, busiest: 1 }, 100],
  ])('knows its latency without load after %s', (_what, sample, longRtt) => {
    const gradient = gradientWith({ tolerance: 1.25 });
    gradient.update(windowOf({ rtt: 100 }));
    expect(gradient).toMatchObject({ shortRtt: 100, longRtt: 100 });
    gradient.update(windowOf(sample));
    expect(gradient.longRtt).toBeCloseTo(longRtt, 9);
    expect(gradient.shortRtt).toBe(sample.rtt ?? 100);
  });
});

describe('the steps of a probe', () => {
  it.each<[string, number, number, number | undefined, number[], (number | boolean)[]]>([
    // least limit, limit before, latency believed, latencies seen: limit and whether it goes on
    ['halves until latency stays', 1, 20, undefined, [100, 79, 79], [10, true, 5, true, 2, false]],
    ['is content where latency is as believed', 1, 20, 100, [100], [10, false]],
    ['is content a little below and above', 1, 20, 100, [80], [10, false]],
    ['is content at the edge above', 1, 20, 100, [125], [10, false]],
    ['looks on where latency has fallen', 1, 20, 100, [79, 79], [10, true, 5, false]],
    ['looks on where latency has risen', 1, 20, 100, [126, 126], [10, true, 5, false]],
    ['ends at the least limit', 8, 20, undefined, [100, 50], [10, true, 8, false]],
    ['ends at one call', 1, 2, undefined, [100], [1, false]],
  ])('%s', (_what, minLimit, limit, believed, latencies, expected) => {
    const probe = new Probe(limit, minLimit, believed, 0);
    const seen = latencies.flatMap((rtt) => [probe.limit, probe.goesOn(rtt, 1.25)]);
    expect(seen).toEqual(expected);
  });
});

describe('an adaptive limit, window by window', () => {
  let lab: Lab;
  let policy: AdaptiveLimitPolicy;
  beforeEach(() => {
    lab = new Lab();
    policy = made();
  });

  const made = (options: AdaptiveLimitOptions = {}): AdaptiveLimitPolicy =>
    adaptiveLimit(
      {
        initialLimit: 8,
        window: 100,
        minimumCalls: 4,
        queueSize: 0,
        smoothing: 1,
        probeInterval: '10s',
        ...options,
      },
      { runtime: lab.runtime },
    );
  const sleep = (time: number): Promise<void> =>
    new Promise((resolve) => lab.clock.setTimeout(resolve, time));
  /** So many calls at once, and the time that they take. */
  const round = async (calls: number, time = 100): Promise<void> => {
    for (let call = 0; call < calls; call++) void settled(policy.execute(() => sleep(time)));
    await lab.clock.advance(time);
  };
  const shown = (): unknown[] => {
    const { limit, probing, longRtt } = policy.snapshot();
    return [limit, probing, longRtt];
  };

  it('probes after the first full window, and again when the interval has gone by', async () => {
    expect(shown()).toEqual([8, false, undefined]);
    await round(8);
    expect(shown()).toEqual([4, true, 100]);
    await round(4); // a window lasts two latencies
    expect(shown()).toEqual([4, true, 100]);
    await round(4);
    expect(shown()).toEqual([2, true, 100]);
    await round(2);
    await round(2);
    expect(shown()).toEqual([8, false, 100]); // at 500 ms
    await lab.clock.advance(10_500 - 1);
    await round(8, 250); // has seen enough, and is over just before the interval, with half its jitter
    expect(policy.snapshot().probing).toBe(false);
    await round(8, 250);
    expect(policy.snapshot().probing).toBe(true);
  });

  /** A first window and the probe after it, which ends at 500 ms. */
  const probed = async (): Promise<void> => {
    for (const calls of [8, 4, 4, 2, 2]) await round(calls);
    expect(shown()).toEqual([8, false, 100]);
  };

  it('begins a probe in the very moment in which the interval is over', async () => {
    await probed();
    await lab.clock.advance(10_650);
    await round(8); // to 11 250 ms: the interval, and half its jitter of 15%
    expect(policy.snapshot().probing).toBe(true);
    expect(lab.logger.errors).toEqual([]);
  });

  it('knows from the first probe what the second may be content with', async () => {
    await probed();
    await lab.clock.advance(11_000);
    await round(8);
    expect(shown()).toEqual([4, true, 100]);
    await round(4);
    await round(4);
    expect(shown()).toEqual([8, false, 100]);
  });

  it('ends a probe in which everything was dropped, and believes what it believed', async () => {
    await round(8);
    const drop = (): Promise<never> => sleep(100).then(() => Promise.reject(coded('ETIMEDOUT')));
    for (let turn = 0; turn < 2; turn++) {
      for (let call = 0; call < 4; call++) void settled(policy.execute(drop));
      await lab.clock.advance(100);
    }
    expect(shown()).toEqual([8, false, 100]);
  });

  it('does not measure calls that began before a probe and end after it', async () => {
    policy = made({ minLimit: 4 });
    for (let call = 0; call < 2; call++) void settled(policy.execute(() => sleep(900)));
    for (const calls of [6, 2, 2]) await round(calls);
    expect(policy.snapshot()).toMatchObject({ probing: false, inUse: 2 }); // at 300 ms
    await lab.clock.advance(600);
    await round(8);
    expect(policy.snapshot()).toMatchObject({ probing: false, inUse: 0, shortRtt: 100 });
  });

  it('does not measure calls that began before a probe and end in its second step', async () => {
    for (let call = 0; call < 2; call++) void settled(policy.execute(() => sleep(350)));
    for (const calls of [6, 2, 2]) await round(calls);
    expect(shown()).toEqual([2, true, 100]); // at 300 ms, with both under way
    await lab.clock.advance(50);
    for (const calls of [2, 2]) await round(calls);
    expect(shown()).toEqual([8, false, 100]);
  });

  it('gives a probe up after ten windows', async () => {
    await round(8);
    for (let call = 0; call < 4; call++) void settled(policy.execute(() => sleep(1e6)));
    await lab.clock.advance(1999);
    await round(1, 0);
    expect(shown()).toEqual([4, true, 100]);
    await lab.clock.advance(1);
    await round(1, 0);
    expect(shown()).toEqual([8, false, 100]);
  });

  it('does not measure calls that began under another limit', async () => {
    for (let call = 0; call < 2; call++) void settled(policy.execute(() => sleep(200)));
    await round(6); // a probe begins; the other two end in it
    await round(2, 200);
    expect(policy.snapshot()).toMatchObject({ probing: true, longRtt: 100 });
    await round(4, 100);
    expect(policy.snapshot().longRtt).toBe((2 * 200 + 2 * 100) / 4);
  });

  it('is content with one round of calls in a probe, however many a window needs', async () => {
    policy = made({ minimumCalls: 8 });
    await round(8);
    await round(4, 200);
    expect(shown()).toEqual([2, true, 200]);
  });

  it('learns from drops, of what began under its limit', async () => {
    const drop = (): Promise<never> => sleep(100).then(() => Promise.reject(coded('ETIMEDOUT')));
    for (let call = 0; call < 4; call++) void settled(policy.execute(() => sleep(100)));
    for (let call = 0; call < 4; call++) void settled(policy.execute(drop));
    await lab.clock.advance(100);
    expect(policy.snapshot().calls).toMatchObject({ accepted: 8, dropped: 4 });
    expect(shown()).toEqual([4, true, 100]);
    expect(policy.snapshot().inUse).toBe(0);
    await round(2, 200); // with four drops of before it, these would fill the window
    expect(shown()).toEqual([4, true, 100]);
  });

  const OUT_OF_RANGE = 'queueSize gave no finite number of at least 0; 0 is used';
  it.each<[string, () => number, string, unknown]>([
    ['throws', thrown, 'queueSize threw; 0 is used', down],
    ['gives a negative number', () => -1, OUT_OF_RANGE, -1],
    ['gives no number', () => NaN, OUT_OF_RANGE, NaN],
    ['gives an endless number', () => Infinity, OUT_OF_RANGE, Infinity],
  ])('logs a queueSize that %s, and does without', async (_what, queueSize, message, cause) => {
    policy = made({ queueSize, minLimit: 8 });
    await round(8);
    expect(lab.logger.errors).toEqual([
      { message: `Adaptive limit "adaptiveLimit": ${message}`, cause },
    ]);
    expect(policy.snapshot().limit).toBe(8);
  });

  it('may have no queue, and one of nothing', async () => {
    policy = made({ queueSize: () => 0, minLimit: 8 });
    await round(8);
    expect(lab.logger.errors).toEqual([]);
  });

  it('counts for nothing a call that fails for reasons of its own', async () => {
    const layer = pipeline(policy, timeLimit(1000, { runtime: lab.runtime }));
    for (const around of [policy, layer]) {
      expect(await settled(around.execute(() => Promise.reject(down)))).toEqual({ error: down });
    }
    expect(policy.snapshot()).toMatchObject({ calls: { ignored: 2, dropped: 0 }, inUse: 0 });
  });

  it('rejects in front of a layer too', async () => {
    policy = made({ initialLimit: 1, maxLimit: 1 });
    const layer = pipeline(policy, timeLimit(1000, { runtime: lab.runtime }));
    void settled(layer.execute(() => sleep(10)));
    expect(await settled(layer.execute(() => 'no'))).toMatchObject({
      error: { code: 'BULKHEAD_FULL' },
    });
    await lab.clock.runAll();
  });
});

function thrown(): never {
  throw down;
}
