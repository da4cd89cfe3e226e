/**
 * Who leaves a stream after an item had an answer, a success. That goes for a protected stream that this
 * one is made of, too: else its breaker stays half-open for ever where everybody reads one page.
 */
import 'reflect-metadata';
import {
  AbortError,
  CircuitBreaker,
  type Policy,
  bulkhead,
  currentSignal,
  resilient,
  retry,
  timeLimit,
} from 'nestjs-bulwark';
import { settlePromises } from 'nestjs-bulwark/testing';
import { type Observable, defer, firstValueFrom, from } from 'rxjs';
import { Lab, down, settled } from '../support/lab.js';

type Items = AsyncIterable<number>;

let lab: Lab;
let inner: CircuitBreaker;
let isDown: boolean;
let hangs: boolean;

beforeEach(() => {
  lab = new Lab();
  isDown = hangs = false;
  const options = { failureThreshold: 1, recoveryTimeout: 1000, successThreshold: 1 };
  inner = new CircuitBreaker('inner', options, { runtime: lab.runtime });
});

async function* source(): AsyncGenerator<number> {
  if (isDown) throw down;
  yield 1;
  if (hangs) await aborted(currentSignal() as AbortSignal);
  yield 2;
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error));
  });
}

/** What it tells its reader, one item at a time, as long as there is a reader. */
async function* itemsOf(items: Observable<number>): AsyncGenerator<number> {
  const untold: (() => number)[] = [];
  let wake = (): void => undefined;
  const tell = (what: () => number): void => {
    untold.push(what);
    wake();
  };
  const fail = (error: unknown) => () => {
    throw error;
  };
  const reading = items.subscribe({
    next: (item) => tell(() => item),
    error: (error: unknown) => tell(fail(error)),
  });
  try {
    for (;;) {
      for (const what of untold.splice(0)) yield what();
      await new Promise<void>((resolve) => (wake = resolve));
    }
  } finally {
    reading.unsubscribe();
  }
}

const inners: [string, () => Items][] = [
  ['an iterable', () => inner.protect(source)()],
  ['an Observable', () => itemsOf(defer(source).pipe(resilient(inner)))],
];
type Reader = (policy: Policy, items: () => Items) => Promise<unknown>;
const readers: [string, readOne: Reader, leaveBeforeItem: Reader][] = [
  [
    'an iterable',
    async (policy, items) => {
      const all = policy.wrap(async function* () {
        yield* items();
      });
      for await (const item of all()) return item;
      return undefined;
    },
    async (policy, items) => {
      const reading = policy.wrap(async function* () {
        yield* items();
      })();
      const first = settled(reading.next());
      await settlePromises();
      await reading.return();
      await first;
    },
  ],
  [
    'an Observable',
    (policy, items) => firstValueFrom(defer(() => from(items())).pipe(resilient(policy))),
    async (policy, items) => {
      const left = defer(() => from(items()))
        .pipe(resilient(policy))
        .subscribe();
      await settlePromises();
      left.unsubscribe();
    },
  ],
];
const outers: [string, () => Policy][] = [
  ['a circuit breaker', () => new CircuitBreaker('outer', {}, { runtime: lab.runtime })],
  ['a retry', () => retry({ maxAttempts: 1 }, { runtime: lab.runtime })],
  ['a time limit', () => timeLimit('1s', { runtime: lab.runtime })],
  ['a bulkhead', () => bulkhead({ maxConcurrent: 1 }, { runtime: lab.runtime })],
];

describe.each(inners)('%s under a breaker', (_inner, items) => {
  describe.each(readers)('inside %s', (_reader, readOne, leaveBeforeItem) => {
    it.each(outers)(
      'under %s closes the circuit with the item of a probe',
      async (_outer, make) => {
        const outer = make();
        isDown = true;
        expect(await settled(readOne(outer, items))).toHaveProperty('error');
        expect(inner.state).toBe('open');
        isDown = false;
        lab.clock.jump(1000);
        expect(await readOne(outer, items)).toBe(1);
        await settlePromises();
        expect(inner.state).toBe('closed');
        expect(inner.stats).toMatchObject({ successfulCalls: 1, ignoredCalls: 0, inFlight: 0 });
      },
    );

    it('is no success where the outer one is left before an item', async () => {
      hangs = true;
      const second = async function* (): AsyncGenerator<number> {
        for await (const item of items()) if (item > 1) yield item;
      };
      await leaveBeforeItem(new CircuitBreaker('outer'), second);
      await settlePromises();
      expect(inner.stats).toMatchObject({ successfulCalls: 0, ignoredCalls: 1, inFlight: 0 });
    });
  });
});

it('an Observable inside a stream that is left does not look complete to who reads it there', async () => {
  hangs = true;
  let end: unknown;
  const all = new CircuitBreaker('outer').wrap(async function* () {
    const items = defer(source).pipe(resilient(inner));
    items.subscribe({
      error: (error: unknown) => (end = error),
      complete: () => (end = 'complete'),
    });
    await settlePromises();
    yield 'page';
  });
  for await (const page of all()) {
    expect(page).toBe('page');
    break;
  }
  await settlePromises();
  expect(end).toBeInstanceOf(AbortError);
  expect(inner.stats).toMatchObject({ successfulCalls: 1, ignoredCalls: 0, inFlight: 0 });
});
