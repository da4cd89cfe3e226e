/** A pipeline is composed once, and gates next to each other are one step of it. */
import {
  CircuitBreaker,
  Policy,
  type PolicySnapshot,
  adaptiveLimit,
  bulkhead,
  clientThrottle,
  pipeline,
  rateLimit,
  retry,
} from 'nestjs-bulwark/core';
import { Resilient, resilient } from 'nestjs-bulwark';
import { lastValueFrom, of } from 'rxjs';
import { resetDefaultRegistry } from 'nestjs-bulwark/testing';
import type { Layer } from '../../lib/core/policy.js';
import { Lab } from '../support/lab.js';

afterEach(resetDefaultRegistry);

/** A layer that counts how often it is linked, and how many calls come by. */
class Counting extends Policy {
  readonly kind = 'counting';
  readonly name = 'counting';
  readonly options = {};
  linked = 0;
  calls = 0;

  stages(): [Layer] {
    const link: Layer['link'] = (next) => {
      this.linked++;
      return (...call) => {
        this.calls++;
        return next(...call);
      };
    };
    return [{ link }];
  }

  snapshot(): PolicySnapshot {
    const { id, kind, name, options } = this;
    return { id, kind, name, options };
  }
}

const work = async (): Promise<string> => 'fine';
type Use = (policy: Policy) => () => Promise<unknown>;

describe('a pipeline is linked once', () => {
  it.each<[string, Use]>([
    ['execute', (policy) => () => policy.execute(work)],
    ['execute with a signal', (policy) => () => policy.execute(work, new AbortController())],
    ['wrap', (policy) => policy.wrap(work)],
    ['resilient()', (policy) => () => lastValueFrom(of(1).pipe(resilient(policy)))],
    [
      'a decorator',
      (policy) => {
        class Orders {
          @Resilient(policy)
          async place(): Promise<string> {
            return 'placed';
          }
        }
        return () => new Orders().place();
      },
    ],
  ])('for all calls of %s', async (_how, use) => {
    const counting = new Counting();
    const call = use(pipeline(retry(), counting, new CircuitBreaker('b')));
    for (let calls = 1; calls <= 5; calls++) {
      await call();
      expect(counting).toMatchObject({ linked: 1, calls });
    }
  });
});

/** Turns of microtasks until it has settled. */
async function turnsOf(call: Promise<unknown>): Promise<number> {
  const seen = { settled: false, turns: 0 };
  void call.finally(() => (seen.settled = true));
  for (const turn = Promise.resolve(); !seen.settled; seen.turns++) await turn;
  return seen.turns;
}

it('gates next to each other settle in the turns of one', async () => {
  const { runtime } = new Lab();
  const gates = (): Policy[] => [
    clientThrottle({}, { runtime }),
    new CircuitBreaker('b', {}, { runtime }),
    rateLimit({ limit: 9, interval: 1 }, { runtime }),
    bulkhead({}, { runtime }),
    adaptiveLimit({}, { runtime }),
  ];
  const turns = await turnsOf(bulkhead({}, { runtime }).execute(work));
  expect(await turnsOf(pipeline(...gates()).execute(work))).toBe(turns);
  const again = await turnsOf(pipeline(retry(), bulkhead({}, { runtime })).execute(work));
  expect(await turnsOf(pipeline(retry(), ...gates()).execute(work))).toBe(again);
});
