/** What a function of no declared type returns is seen in its first call only: of a stream that is no call yet. */
import {
  Bulkhead,
  CircuitBreaker,
  KeyedCircuitBreakers,
  type Policy,
  RateLimit,
  TimeLimit,
  adaptiveLimit,
  bulkhead,
  clientThrottle,
  fallback,
  hedge,
  pipeline,
  rateLimit,
  retry,
  timeLimit,
} from 'nestjs-bulwark';
import { resetDefaultRegistry } from 'nestjs-bulwark/testing';
import { lastValueFrom, of } from 'rxjs';
import { Lab, down, settled } from '../support/lab.js';

afterEach(resetDefaultRegistry);

class Prices {
  // As methods that return client.send(...) are written.
  @RateLimit({ limit: 1, interval: '1h' })
  latest() {
    return of('fine');
  }
}

it('R43: finding out that a method returns a stream takes no token', async () => {
  const prices = new Prices();
  expect(await lastValueFrom(prices.latest())).toBe('fine');
  await expect(lastValueFrom(prices.latest())).rejects.toMatchObject({ code: 'RATE_LIMITED' });
});

const LIMIT = { limit: 9, interval: '1h' } as const;
const always = (): boolean => true;
const instead = (): string => 'instead';
/** The laboratory is the setting, too. */
type Make = (lab: Lab) => Policy | Promise<Policy>;
const POLICIES: readonly [string, Make][] = [
  ['a retry', (lab) => retry({}, lab)],
  ['a circuit breaker', (lab) => new CircuitBreaker('prices', {}, lab)],
  [
    'a breaker that counts aborts',
    (lab) => new CircuitBreaker('prices', { failureExceptions: always }, lab),
  ],
  [
    'a half-open breaker',
    async (lab) => {
      const options = { failureThreshold: 1, recoveryTimeout: 1 };
      const breaker = new CircuitBreaker('prices', options, lab);
      await settled(breaker.execute(() => Promise.reject(down)));
      lab.clock.jump(1);
      return breaker;
    },
  ],
  ['keyed breakers', (lab) => new KeyedCircuitBreakers('prices', {}, lab).by(() => 'all')],
  ['a time limit', (lab) => timeLimit('1s', lab)],
  ['a time limit in shadow mode', (lab) => timeLimit({ limit: '1s', mode: 'shadow' }, lab)],
  ['a bulkhead', (lab) => bulkhead({}, lab)],
  ['a bulkhead with a queue', (lab) => bulkhead({ maxQueue: 5 }, lab)],
  ['a full bulkhead in shadow mode', (lab) => fullInShadow(lab)],
  ['a rate limit', (lab) => rateLimit(LIMIT, lab)],
  ['a rate limit that may wait', (lab) => rateLimit({ ...LIMIT, maxWait: '1s' }, lab)],
  ['an adaptive limit', (lab) => adaptiveLimit({}, lab)],
  ['a client throttle', (lab) => clientThrottle({}, lab)],
  ['a fallback', (lab) => fallback(instead, {}, lab)],
  ['a hedge', (lab) => hedge({ delay: '1s' }, lab)],
  ['timings', (lab) => bulkhead({ timings: 'all' }, lab)],
];

/** One slot, taken for good. */
function fullInShadow(lab: Lab): Policy {
  const policy = bulkhead({ maxConcurrent: 1, mode: 'shadow' }, lab);
  void policy.execute(() => new Promise(() => undefined));
  return policy;
}

const PLACES: readonly [string, (policy: Policy) => Policy][] = [
  ['alone', (policy) => policy],
  ['around a retry', (policy) => pipeline(policy, retry())],
  ['around a time limit', (policy) => pipeline(policy, timeLimit('1s'))],
  [
    'inside a fallback',
    (policy) =>
      pipeline(
        fallback(() => 'instead'),
        policy,
      ),
  ],
  ['between two gates', (policy) => pipeline(bulkhead({}), policy, rateLimit(LIMIT))],
];

async function* items(): AsyncGenerator<string> {
  yield 'fine';
}

/** What a policy shows after one iteration of `work` under it. */
async function figuresAfter(
  make: Make,
  around: (policy: Policy) => Policy,
  work: () => AsyncIterable<string>,
): Promise<object> {
  const policy = await make(new Lab());
  for await (const item of around(policy).wrap(work)()) expect(item).toBe('fine');
  await new Promise((resolve) => setImmediate(resolve));
  return { ...policy.snapshot(), timings: policy.timings };
}

describe.each(POLICIES)('R82: %s', (_what, make) => {
  it.each(PLACES)('counts one call for one iteration, %s', async (_place, around) => {
    const unknown = await figuresAfter(make, around, () => items());
    expect(unknown).toEqual(await figuresAfter(make, around, items));
  });
});

/** With room for one call only, and something inside that answers with a promise. */
const NARROW: readonly [string, Make][] = [
  [
    'a bulkhead around a retry',
    (lab) => pipeline(bulkhead({ maxConcurrent: 1 }, lab), retry({}, lab)),
  ],
  [
    'a bulkhead around a time limit',
    (lab) => pipeline(bulkhead({ maxConcurrent: 1 }, lab), timeLimit('1s', lab)),
  ],
  [
    'a bulkhead around a hedge',
    (lab) => pipeline(bulkhead({ maxConcurrent: 1 }, lab), hedge({ delay: '1s' }, lab)),
  ],
  [
    'an adaptive limit around a time limit',
    (lab) => pipeline(adaptiveLimit({ maxLimit: 1 }, lab), timeLimit('1s', lab)),
  ],
  [
    'a rate limit around a retry',
    (lab) => pipeline(rateLimit({ limit: 1, interval: '1h' }, lab), retry({}, lab)),
  ],
  [
    'a rate limit that lets calls wait',
    (lab) => rateLimit({ limit: 1, interval: '1h', maxWait: '2h' }, lab),
  ],
  [
    'a half-open breaker around a retry',
    async (lab) => {
      const options = { failureThreshold: 1, recoveryTimeout: 1, halfOpenMaxCalls: 1 };
      const breaker = new CircuitBreaker('prices', options, lab);
      await settled(breaker.execute(() => Promise.reject(down)));
      lab.clock.jump(1);
      return pipeline(breaker, retry({}, lab));
    },
  ],
];

async function readAll(stream: AsyncIterable<string>): Promise<string[]> {
  const read: string[] = [];
  for await (const item of stream) read.push(item);
  return read;
}

describe.each(NARROW)('R43: %s, with room for one', (_name, make) => {
  it('has that room for the stream that the first call shows', async () => {
    const lab = new Lab();
    const read = (await make(lab)).wrap(() => items());
    expect(await settled(readAll(read()))).toEqual({ value: ['fine'] });
  });
});

it('R43: a token that the first look gives back wakes the one who waits for it', async () => {
  const lab = new Lab();
  const limit = rateLimit({ limit: 1, interval: 1000, maxWait: 5000 }, lab);
  const started: number[] = [];
  limit.wrap(() => items())(); // never read: no call
  const waiting = limit.execute(() => void started.push(lab.clock.now()));
  await lab.resultOf(waiting);
  expect(started).toEqual([0]);
});

it('R43: room for one is enough for the Observable that a first call shows', async () => {
  class Guarded {
    @Bulkhead({ maxConcurrent: 1 })
    @TimeLimit('1s')
    latest() {
      return of('fine');
    }
  }
  expect(await lastValueFrom(new Guarded().latest())).toBe('fine');
});
