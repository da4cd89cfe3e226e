import { runInThisContext } from 'node:vm';
import { jest } from '@jest/globals';
import {
  CircuitBreaker,
  CircuitBreakerError,
  type Policy,
  SyncRetryPolicy,
  pipeline,
  retry,
} from 'nestjs-bulwark/core';
import { compile } from '../../lib/core/compile.js';
import { PLAIN } from '../../lib/core/call-context.js';
import type { Work } from '../../lib/core/context.js';
import type { Layer } from '../../lib/core/policy.js';
import { isThenable } from '../../lib/core/thenable.js';
import { protectFunction } from '../../lib/core/wrap.js';
import { Lab, down, play, thrownBy } from '../support/lab.js';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
const breakerNamed = (name: string): CircuitBreaker =>
  new CircuitBreaker(name, { failureThreshold: 1 }, { runtime: lab.runtime });

describe('a protected function looks like the original', () => {
  const symbol = Symbol('metadata');

  it.each<[string, () => (...args: never[]) => unknown]>([
    [
      'a function',
      () =>
        function charge(a: number, b?: number) {
          return [a, b];
        },
    ],
    ['an arrow function', () => (a: number, b: number, c: number) => a + b + c],
    [
      'an async function',
      () =>
        async function load(url: string) {
          return url;
        },
    ],
    [
      'an async generator',
      () =>
        async function* list(to: number) {
          yield to;
        },
    ],
    [
      'a method',
      () =>
        ({
          find(id: string): string {
            return id;
          },
        }).find,
    ],
    ['a frozen function', () => Object.freeze((a: number) => a)],
    [
      'a function with a name of its own',
      () => Object.defineProperty((a: number) => a, 'name', { value: 'renamed' }),
    ],
    [
      'a function that carries data',
      () => Object.assign((a: number) => a, { path: '/', [symbol]: 7 }),
    ],
    ['a bound function', () => ((a: number, b: number) => a + b).bind(null, 1)],
    [
      'a function without a prototype of its own',
      () => Object.setPrototypeOf((a: number) => a, Function.prototype) as (a: number) => number,
    ],
  ])('%s', (_what, make) => {
    const original = make();
    const guarded = breakerNamed('b').protect(original);
    expect(guarded.name).toBe(original.name);
    expect(guarded.length).toBe(original.length);
    const carried = (fn: object): unknown[] =>
      Reflect.ownKeys(fn)
        .filter((key) => !['prototype', 'arguments', 'caller'].includes(String(key)))
        .map((key) => [key, (fn as Record<PropertyKey, unknown>)[key]]);
    expect(carried(guarded)).toEqual(expect.arrayContaining(carried(original)));
  });

  it('a function of sloppy code, which alone may have arguments and caller', () => {
    const sloppy = runInThisContext('(function add(a, b) { return a + b; })') as Work;
    const guarded = breakerNamed('b').protect(sloppy);
    expect([guarded.name, guarded.length]).toEqual(['add', 2]);
    // Node 26 has them on Function.prototype alone: before, they are the function's own.
    expect(Reflect.ownKeys(guarded)).not.toContain('arguments');
    expect(Reflect.ownKeys(guarded)).not.toContain('caller');
    expect(guarded.prototype).not.toBe(sloppy.prototype);
  });

  it('and is called with the same this and arguments', () => {
    const original = jest.fn(function (this: unknown, ...args: unknown[]) {
      return [this, args];
    });
    const self = {};
    expect(breakerNamed('b').protect(original).call(self, 1, undefined, 'x')).toEqual([
      self,
      [1, undefined, 'x'],
    ]);
    expect(original).toHaveBeenCalledTimes(1);
  });

  it.each([0, 1, 2, 3, 4, 20])(
    'and with %i arguments where it was given as many',
    async (count) => {
      const given = Array.from({ length: count }, (_, at) => (at === count - 1 ? undefined : at));
      const receiver = {
        async charge(...args: unknown[]) {
          return Promise.resolve([this, args]);
        },
      };
      for (const policy of [breakerNamed('b'), retry({}, lab)]) {
        const charge = policy.wrap(receiver.charge);
        expect(await charge.apply(receiver, given)).toEqual([receiver, given]);
      }
    },
  );
});

describe('the kind of result', () => {
  it('a wrapper of a wrapper knows the kind of the innermost function', async () => {
    const [outer, inner] = [breakerNamed('outer'), breakerNamed('inner')];
    const guarded = outer.protect(inner.protect(async () => 'value'));
    outer.isolate();
    await expect(guarded()).rejects.toMatchObject({ breakerName: 'outer' });
  });

  it('a wrapper of a wrapper learns what the inner one has learnt', () => {
    const [outer, inner] = [breakerNamed('outer'), breakerNamed('inner')];
    const within = inner.protect(() => 'plain');
    within();
    const guarded = outer.protect(within);
    outer.isolate();
    expect(guarded).toThrow(CircuitBreakerError);
  });

  it.each([Promise, undefined])('a declared type of %p', async (returnType) => {
    const breaker = breakerNamed('b');
    breaker.isolate();
    const guarded = protectFunction(
      () => 1,
      () => breaker.compiled(),
      { returnType },
    );
    await expect(guarded()).rejects.toBeInstanceOf(CircuitBreakerError);
  });

  it.each([undefined, null])('%p shows no kind: the next call may', async (nothing) => {
    const breaker = breakerNamed('b');
    const answers: unknown[] = [nothing, 'plain'];
    const guarded = breaker.protect(() => answers.shift());
    expect(guarded()).toBe(nothing);
    expect(guarded()).toBe('plain');
    breaker.isolate();
    expect(guarded).toThrow(CircuitBreakerError);
  });

  it.each([undefined, null])('%p is a plain value', (nothing) => {
    const breaker = breakerNamed('b');
    const guarded = breaker.protect(() => nothing);
    expect(guarded()).toBe(nothing);
    breaker.isolate();
    expect(guarded).toThrow(CircuitBreakerError);
  });

  it('an error that is thrown shows a plain function', () => {
    const guarded = breakerNamed('b').protect((): unknown => {
      throw down;
    });
    expect(thrownBy(guarded)).toBe(down);
    expect(guarded).toThrow(CircuitBreakerError);
  });

  it.each([undefined, null])('%p is no plain value where promises follow', async (nothing) => {
    const breaker = breakerNamed('b');
    const answers: unknown[] = [nothing, Promise.resolve('later')];
    const guarded = breaker.protect(() => answers.shift() as Promise<unknown>);
    await guarded();
    await guarded();
    breaker.isolate();
    await expect(guarded()).rejects.toBeInstanceOf(CircuitBreakerError);
  });

  it('a function that never was called rejects', async () => {
    const breaker = breakerNamed('b');
    breaker.isolate();
    const guarded = breaker.protect((): unknown => 1);
    await expect(guarded()).rejects.toBeInstanceOf(CircuitBreakerError);
  });

  it('a function of unknown kind that throws, throws', () => {
    const guarded = breakerNamed('b').protect((): unknown => {
      throw down;
    });
    expect(thrownBy(guarded)).toBe(down);
  });

  it('a stream that comes only with a later attempt is handed on by the promise', async () => {
    let attempts = 0;
    async function* items(): AsyncGenerator<number> {
      yield 1;
    }
    const guarded = retry({}, { runtime: lab.runtime }).wrap((): unknown => {
      if (++attempts === 1) throw down;
      return items();
    });
    const outcome = await lab.outcomeOf(guarded() as Promise<AsyncGenerator<number>>);
    const seen: number[] = [];
    if ('value' in outcome) for await (const item of outcome.value) seen.push(item);
    expect(seen).toEqual([1]);
  });
});

describe('gates side by side', () => {
  it('are taken in order, settled in reverse, and learn of each other', async () => {
    const [outer, inner] = [breakerNamed('outer'), breakerNamed('inner')];
    const both = pipeline(outer, inner);
    await both.execute(() => 'fine');
    await expect(both.execute(() => Promise.reject(down))).rejects.toBe(down);
    for (const breaker of [outer, inner]) {
      expect(breaker.stats).toMatchObject({ successfulCalls: 1, failedCalls: 1, inFlight: 0 });
    }
  });

  it('an inner refusal gives the outer permit back and counts for nothing there', async () => {
    const [outer, inner] = [breakerNamed('outer'), breakerNamed('inner')];
    inner.isolate();
    const both = pipeline(outer, inner);
    await expect(both.execute(() => 1)).rejects.toMatchObject({ breakerName: 'inner' });
    expect(outer.stats).toMatchObject({ ignoredCalls: 1, inFlight: 0 });
    expect(outer.state).toBe('closed');
  });

  it('an outer refusal never asks the inner one', async () => {
    const [outer, inner] = [breakerNamed('outer'), breakerNamed('inner')];
    await play(outer, 'f', lab);
    await expect(pipeline(outer, inner).execute(() => 1)).rejects.toMatchObject({
      breakerName: 'outer',
    });
    expect(inner.stats.totalCalls).toBe(0);
  });

  it('count a plain value, a synchronous throw and an abort alike', async () => {
    const [outer, inner] = [breakerNamed('outer'), breakerNamed('inner')];
    const both = pipeline(outer, inner);
    const reason = new Error('gone');
    const controller = new AbortController();
    expect(both.wrap(() => 'plain')()).toBe('plain');
    const aborted = both.execute(
      ({ signal }) =>
        new Promise((_, reject) => {
          signal.addEventListener('abort', () => reject(reason));
        }),
      { signal: controller.signal },
    );
    controller.abort(reason);
    await expect(aborted).rejects.toBe(reason);
    await lab.clock.runAll();
    expect(
      thrownBy(
        both.wrap(() => {
          throw down;
        }),
      ),
    ).toBe(down);
    for (const breaker of [outer, inner]) {
      expect(breaker.stats).toMatchObject({
        successfulCalls: 1,
        failedCalls: 1,
        ignoredCalls: 1,
        inFlight: 0,
      });
    }
  });

  it('throw a refusal at a caller of a synchronous function, behind a timed one too', () => {
    const timed = new CircuitBreaker('timed', { timings: 'all' }, { runtime: lab.runtime });
    const inner = breakerNamed('inner');
    const guarded = pipeline(breakerNamed('outer'), timed, inner).wrap(() => 'plain');
    guarded();
    inner.isolate();
    expect(guarded).toThrow(CircuitBreakerError);
  });

  it('a layer that cannot be linked is a mistake', () => {
    expect(() => compile([{}])).toThrow('A layer must have link or deliver');
  });

  it('give a layer around them a rejected promise', async () => {
    const inner = breakerNamed('inner');
    inner.isolate();
    const given: unknown[] = [];
    const layer: Layer = {
      link:
        (next) =>
        (...call) => {
          given.push(next(...call));
          return given[0];
        },
    };
    const { run } = compile([layer, ...inner.stages()]);
    const refused = run(() => 1, undefined, undefined, PLAIN);
    await expect(refused).rejects.toBeInstanceOf(CircuitBreakerError);
    expect(given).toEqual([expect.any(Promise)]);
  });

  it('no stage at all is the function itself', () => {
    const { run, runSync } = compile([]);
    const call = { work: (a: number) => a + 1 };
    const context = { attempt: 1 } as never;
    expect([
      run(call.work, undefined, [1], context),
      runSync(call.work, undefined, [2], context),
    ]).toEqual([2, 3]);
  });
});

describe('a function that declares no result', () => {
  const { runtime } = new Lab();
  const isolated = (): CircuitBreaker => {
    const breaker = breakerNamed('b');
    breaker.isolate();
    return breaker;
  };
  const refused = (...policies: Policy[]): unknown => {
    const guarded: () => unknown = protectFunction(
      (): unknown => undefined,
      () => pipeline(...policies).compiled(),
      { declaresNothing: true },
    );
    return guarded();
  };

  it('is refused by a throw before any call has shown what it gives', () => {
    expect(thrownBy(() => refused(isolated()))).toBeInstanceOf(CircuitBreakerError);
    const blocking = new SyncRetryPolicy({}, { runtime });
    expect(thrownBy(() => refused(isolated(), blocking))).toBeInstanceOf(CircuitBreakerError);
    expect(thrownBy(() => refused(blocking, isolated()))).toBeInstanceOf(CircuitBreakerError);
  });

  it.each([
    ['inside', () => [isolated(), retry({}, { runtime })]],
    ['around', () => [retry({}, { runtime }), isolated()]],
  ])('is refused by a promise with a layer %s that gives promises', async (_where, policies) => {
    await expect(refused(...policies())).rejects.toBeInstanceOf(CircuitBreakerError);
  });
});

describe('a pipeline', () => {
  it('describes its parts, those of pipelines inside it as well', () => {
    const inner = pipeline(breakerNamed('a'), retry({}, { name: 'r' }));
    const outer = pipeline(inner, breakerNamed('z'));
    expect(outer.describe().map(({ kind, name }) => `${kind}:${name}`)).toEqual([
      'circuitBreaker:a',
      'retry:r',
      'circuitBreaker:z',
    ]);
    expect(outer.parts().map(({ kind }) => kind)).toEqual([
      'circuitBreaker',
      'retry',
      'circuitBreaker',
    ]);
    expect(outer.snapshot()).toMatchObject({
      kind: 'pipeline',
      policies: [{ kind: 'pipeline' }, { id: 'breaker:z' }],
    });
  });

  it('names everything in it that is no policy', () => {
    expect(() => pipeline()).toThrow('must have at least one policy');
    const error = thrownBy(() => pipeline({} as never, breakerNamed('a'), 5 as never));
    expect(error).toMatchObject({
      issues: [
        'pipeline(pipeline)[0] must be a policy, got {}',
        'pipeline(pipeline)[2] must be a policy, got 5',
      ],
    });
  });
});

describe('a thenable', () => {
  const then = (): void => undefined;
  it.each<[string, unknown, boolean]>([
    ['a promise', Promise.resolve(), true],
    ['an object with then', { then }, true],
    ['a function with then', Object.assign(() => 1, { then }), true],
    ['then that is no function', { then: 1 }, false],
    ['a function', () => 1, false],
    ['null', null, false],
    ['nothing', undefined, false],
    ['a string', 'then', false],
    [
      'a hostile object',
      Object.defineProperty({}, 'then', { get: () => thrownBy(() => 1) }),
      false,
    ],
  ])('%s: %p', (_what, value, expected) => {
    expect(isThenable(value)).toBe(expected);
  });
});
