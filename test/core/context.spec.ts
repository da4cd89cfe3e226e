import { execFileSync } from 'node:child_process';
import { transformFileSync } from '@swc/core';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  CircuitBreaker,
  type RetryPolicy,
  bulkhead,
  currentAttempt,
  currentSignal,
  pipeline,
  remainingTime,
  retry,
  timeLimit,
  withRetry,
} from 'nestjs-bulwark/core';
import { CallContext, PLAIN } from '../../lib/core/call-context.js';
import { type Cancellation, CancelScope } from '../../lib/core/cancellation.js';
import { FakeClock } from 'nestjs-bulwark/testing';
import { Lab, down, settled } from '../support/lab.js';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
const retrying = (maxAttempts = 3): RetryPolicy =>
  retry({ maxAttempts, jitter: 0 }, { runtime: lab.runtime });
const turns = async (count = 3): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await Promise.resolve();
};

describe('R45 a query that begins when it is awaited', () => {
  /** Like the builders of Prisma, knex and supabase. */
  const query = (seen: unknown[]): PromiseLike<string> => ({
    then: (onSuccess, onFailure) => {
      seen.push(remainingTime(), currentAttempt(), currentSignal()?.aborted);
      return Promise.resolve('rows').then(onSuccess, onFailure);
    },
  });
  const { runtime } = new Lab();
  const limit = timeLimit(100, { runtime });
  const breaker = new CircuitBreaker('b', {}, { runtime });

  it.each([
    ['a time limit', limit],
    ['a breaker inside it', pipeline(limit, breaker)],
    ['a retry inside it', pipeline(limit, retry({}, { runtime }))],
    ['one around it', pipeline(retry({}, { runtime }), breaker, limit)],
    ['a bulkhead with a queue inside it', pipeline(limit, bulkhead({ maxQueue: 1 }, { runtime }))],
  ])('knows its call under %s', async (_policy, policy) => {
    const seen: unknown[] = [];
    expect(await policy.execute(() => query(seen))).toBe('rows');
    const guarded = policy.wrap(() => query(seen));
    expect([await guarded(), await guarded()]).toEqual(['rows', 'rows']);
    expect(seen).toEqual([1, 2, 3].flatMap(() => [100, 1, false]));
  });
});

describe('R45 outside a call', () => {
  it('each is undefined, before, during and after one', async () => {
    const outside = (): unknown[] => [currentAttempt(), currentSignal(), remainingTime()];
    const none = [undefined, undefined, undefined];
    expect(outside()).toEqual(none);
    const running = retrying().execute(() => turns(9));
    expect(outside()).toEqual(none);
    await turns();
    expect(outside()).toEqual(none);
    await running;
    expect(outside()).toEqual(none);
    await settled(new CircuitBreaker('b').execute(() => Promise.reject(down)));
    expect(outside()).toEqual(none);
  });
});

describe('R45 inside a call', () => {
  it.each<[string, (work: () => Promise<unknown>) => Promise<unknown>]>([
    ['retry().execute', (work) => retrying().execute(work)],
    ['withRetry', (work) => withRetry({}, { runtime: lab.runtime })(work)()],
    ['breaker.execute', (work) => new CircuitBreaker('b').execute(work)],
    ['breaker.protect', (work) => new CircuitBreaker('b').protect(work)()],
    ['a pipeline', (work) => pipeline(retrying(), new CircuitBreaker('b')).execute(work)],
    ['executeSync', (work) => new CircuitBreaker('b').executeSync(work)],
  ])('of %s the attempt and the signal are there, also after awaits', async (_what, run) => {
    const seen: unknown[] = [];
    const ask = (): void => {
      seen.push(currentAttempt(), currentSignal()?.aborted, remainingTime());
    };
    await run(async () => {
      ask();
      await turns();
      ask();
      await Promise.all([turns(1).then(ask)]);
    });
    expect(seen).toEqual([1, false, undefined, 1, false, undefined, 1, false, undefined]);
  });

  it('each attempt has its number, before and after its awaits', async () => {
    const seen: unknown[] = [];
    const outcome = retrying().execute(async () => {
      seen.push(currentAttempt());
      await turns();
      seen.push(currentAttempt());
      throw down;
    });
    await lab.outcomeOf(outcome);
    expect(seen).toEqual([1, 1, 2, 2, 3, 3]);
  });

  it('parallel calls do not see each other', async () => {
    const seen: Record<string, unknown[]> = { a: [], b: [], c: [] };
    const call = (name: string, failures: number): Promise<unknown> =>
      retrying().execute(async ({ attempt }) => {
        await turns(attempt);
        seen[name]?.push(currentAttempt());
        await turns(5 - attempt);
        seen[name]?.push(currentAttempt());
        if (attempt <= failures) throw down;
      });
    await lab.outcomeOf(Promise.all([call('a', 0), call('b', 1), call('c', 2)]));
    expect(seen).toEqual({ a: [1, 1], b: [1, 1, 2, 2], c: [1, 1, 2, 2, 3, 3] });
  });

  it('nested calls have their own, and the outer one gets its own back', async () => {
    const seen: unknown[] = [];
    const inner = retrying(2);
    const outcome = retrying().execute(async ({ attempt }) => {
      if (attempt === 1) throw down;
      seen.push(['outer', currentAttempt()]);
      await settled(
        inner.execute(async () => {
          await turns();
          seen.push(['inner', currentAttempt()]);
          throw down;
        }),
      );
      seen.push(['outer', currentAttempt()]);
    });
    await lab.outcomeOf(outcome);
    expect(seen).toEqual([
      ['outer', 2],
      ['inner', 1],
      ['inner', 2],
      ['outer', 2],
    ]);
  });

  it('a breaker inside a retry sees the attempt of the retry', async () => {
    const seen: unknown[] = [];
    const breaker = new CircuitBreaker('b');
    const outcome = retrying().execute(() =>
      breaker.execute(async ({ attempt }) => {
        await turns();
        seen.push([attempt, currentAttempt()]);
        throw down;
      }),
    );
    await lab.outcomeOf(outcome);
    expect(seen).toEqual([
      [1, 1],
      [2, 2],
      [3, 3],
    ]);
  });

  it("the signal is the caller's, through every call inside", async () => {
    const controller = new AbortController();
    const breaker = new CircuitBreaker('b');
    let seen: AbortSignal | undefined;
    await retrying().execute(
      () =>
        breaker.execute(async () => {
          await turns();
          seen = currentSignal();
        }),
      { signal: controller.signal },
    );
    controller.abort(down);
    expect(seen?.reason).toBe(down);
  });

  it('a call that nothing stops has a signal of its own that nobody shares', async () => {
    await retrying().execute(({ signal }) => {
      expect(currentSignal()?.aborted).toBe(false);
      expect(currentSignal()).not.toBe(signal);
    });
  });

  it('what a call leaves running still knows it', async () => {
    let later: Promise<unknown> = Promise.resolve();
    await retrying().execute(() => {
      later = turns(20).then(currentAttempt);
    });
    expect(await later).toBe(1);
  });

  it('what it leaves running is free of its own signal, not of that of the call around it', async () => {
    const [outer, own] = [new AbortController(), new AbortController()];
    const breaker = new CircuitBreaker('b');
    let later: Promise<AbortSignal> | undefined;
    const inner = (): Promise<void> =>
      breaker.execute(
        () => {
          later = turns(20).then(() => breaker.execute(({ signal }) => signal));
        },
        { signal: own.signal },
      );
    await breaker.execute(inner, { signal: outer.signal });
    const signal = await later;
    own.abort();
    expect(signal?.aborted).toBe(false);
    outer.abort(down);
    expect(signal?.reason).toBe(down);
  });

  it('a generator knows it in every item', async () => {
    const seen: unknown[] = [];
    const numbers = retrying().wrap(async function* () {
      seen.push(currentAttempt());
      yield 1;
      seen.push(currentAttempt());
      await turns();
      seen.push(currentAttempt());
      yield 2;
      seen.push(currentAttempt());
    });
    for await (const n of numbers()) {
      expect(n).toBeGreaterThan(0);
      expect(currentAttempt()).toBeUndefined();
    }
    expect(seen).toEqual([1, 1, 1, 1]);
  });
});

describe('a context', () => {
  it('counts down to the nearest deadline, and never below nothing', () => {
    const clock = new FakeClock(1000);
    class Limit extends CancelScope {
      constructor(
        private readonly at: number,
        parent?: Cancellation,
      ) {
        super(parent);
      }
      override get timeLeft(): number {
        return this.at - clock.now();
      }
    }
    const far = new Limit(9000);
    const near = new Limit(1500, far);
    const inner = new Limit(8000, near);
    expect(PLAIN.remainingTime).toBeUndefined();
    expect(PLAIN.within(new CancelScope()).remainingTime).toBeUndefined();
    expect(PLAIN.within(far).remainingTime).toBe(8000);
    const call = PLAIN.within(new CancelScope(inner));
    expect(call.remainingTime).toBe(500);
    clock.jump(499);
    expect(call.forAttempt(2)).toMatchObject({ remainingTime: 1, attempt: 2 });
    clock.jump(1000);
    expect(call.remainingTime).toBe(0);
    near.close();
    expect(call.remainingTime).toBe(8000 - 2499);
  });

  it('can be logged: it shows the attempt and the time left, and nothing around the call', async () => {
    const policies = pipeline(
      retry({}, { runtime: lab.runtime }),
      timeLimit(100, { runtime: lab.runtime }),
    );
    const shown = await policies.execute((call) => JSON.stringify({ call }));
    expect(shown).toBe('{"call":{"attempt":1,"remainingTime":100}}');
  });

  it('is the same one for the same attempt', () => {
    expect(PLAIN.forAttempt(1)).toBe(PLAIN);
    expect(new CallContext(2).forAttempt(1)).not.toBe(PLAIN);
  });
});

/**
 * The library stores no context until somebody has asked for one, so what the very first question of a
 * process gets can be seen in a process of its own only.
 */
describe('R45 the first question of a process', () => {
  const root = fileURLToPath(new URL('../..', import.meta.url));
  const built = mkdtempSync(join(tmpdir(), 'bulwark-context-'));

  beforeAll(() => {
    const core = join(root, 'lib/core');
    for (const file of readdirSync(core, { recursive: true, encoding: 'utf8' })) {
      if (!file.endsWith('.ts')) continue;
      const { code } = transformFileSync(join(core, file), {
        swcrc: false,
        jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
        module: { type: 'es6' },
      });
      const out = join(built, 'core', file.replace(/ts$/, 'js'));
      mkdirSync(dirname(out), { recursive: true });
      writeFileSync(out, code);
    }
    writeFileSync(join(built, 'package.json'), '{ "type": "module" }');
    symlinkSync(join(root, 'node_modules'), join(built, 'node_modules'));
  });
  afterAll(() => rmSync(built, { recursive: true }));

  /** Runs `program`, which prints JSON, where nothing has been asked yet. */
  const answersOf = (program: string): unknown => {
    const source = `
      import { CircuitBreaker, bulkhead, currentAttempt, currentSignal, fallback, pipeline, rateLimit, retry, retrySync, timeLimit } from '${join(built, 'core/index.js')}';
      const turns = async () => { for (let n = 0; n < 5; n++) await null; };
      const seen = [];
      ${program}
      console.log(JSON.stringify(seen));`;
    const printed = execFileSync(process.execPath, ['--input-type=module', '-e', source]);
    return JSON.parse(printed.toString());
  };

  it.each<[string, string, unknown]>([
    [
      'after an await in attempt 1',
      `await retry().execute(async () => { await turns(); seen.push(currentAttempt()); });`,
      [1],
    ],
    [
      'before any await in attempt 1',
      `await retry().execute(async () => { seen.push(currentAttempt()); await turns(); seen.push(currentAttempt()); });`,
      [1, 1],
    ],
    [
      'in attempt 2',
      `await retry({ baseDelay: 1 }).execute(async ({ attempt }) => {
         await turns();
         if (attempt === 1) throw new Error('down');
         seen.push(currentAttempt());
       });`,
      [2],
    ],
    [
      'by one of several parallel calls',
      `const call = async () => { await turns(); seen.push(currentAttempt(), currentSignal()?.aborted); };
       await Promise.all([retry().execute(call), retry().execute(call)]);`,
      [1, false, 1, false],
    ],
    [
      'after an await in a signalled call of a breaker',
      `const { signal } = new AbortController();
       await new CircuitBreaker('b').execute(async () => { await turns(); seen.push(currentSignal() === signal); }, { signal });`,
      [true],
    ],
    [
      'before any await in a breaker alone',
      `await new CircuitBreaker('b').execute(async () => { seen.push(currentAttempt()); await turns(); });`,
      [1],
    ],
    [
      'after an await in a breaker alone',
      `await new CircuitBreaker('b').execute(async () => { await turns(); seen.push(currentAttempt()); });`,
      [1],
    ],
    [
      'after an await in a wrapped function under several gates',
      `const guarded = pipeline(new CircuitBreaker('b'), bulkhead()).wrap(async () => { await turns(); seen.push(currentAttempt()); });
       await guarded();`,
      [1],
    ],
    [
      'after an await under a fallback',
      `await fallback(() => 0).execute(async () => { await turns(); seen.push(currentAttempt()); });`,
      [1],
    ],
    [
      'after an await in a bulkhead with a queue',
      `await bulkhead({ maxQueue: 1 }).execute(async () => { await turns(); seen.push(currentAttempt()); });`,
      [1],
    ],
    [
      'after an await in a rate limit that may wait',
      `await rateLimit({ limit: 5, interval: '1s', maxWait: '1s' }).execute(async () => { await turns(); seen.push(currentAttempt()); });`,
      [1],
    ],
    [
      'after an await under a time limit in shadow mode',
      `await timeLimit({ limit: '5s', mode: 'shadow' }).execute(async () => { await turns(); seen.push(currentAttempt()); });`,
      [1],
    ],
    [
      'after an await in a thenable of another kind',
      `await new CircuitBreaker('b').execute(() => ({ then: (done) => void turns().then(() => { seen.push(currentAttempt()); done(1); }) }));`,
      [1],
    ],
    [
      'outside, after calls of every kind have ended',
      `const down = () => Promise.reject(new TypeError());
       const policies = [new CircuitBreaker('b'), bulkhead(), bulkhead({ maxQueue: 1 }), fallback(() => 0),
         pipeline(retry({ maxAttempts: 2, baseDelay: 1 }), new CircuitBreaker('c')), retry({ retryOnResult: () => false }),
         rateLimit({ limit: 50, interval: '1s', maxWait: '1s' }), timeLimit({ limit: '5s', mode: 'shadow' })];
       for (const policy of policies) {
         await policy.execute(turns);
         await policy.execute(down).catch(() => 0);
         await policy.execute(() => { throw new TypeError(); }).catch(() => 0);
         await policy.execute(() => 1);
         await policy.execute(() => ({ then: (done) => done(1) }));
       }
       new CircuitBreaker('s').executeSync(() => 1);
       try { new CircuitBreaker('s').executeSync(() => { throw new TypeError(); }); } catch {}
       retrySync({ maxAttempts: 1 })(() => 1)();
       try { retrySync({ maxAttempts: 1 })(() => { throw new TypeError(); })(); } catch {}
       seen.push(currentAttempt() ?? 'none');`,
      ['none'],
    ],
    ['outside any call', `seen.push(currentAttempt() ?? 'none');`, ['none']],
    [
      'outside, after a call has ended',
      `await retry().execute(turns);
       await retry().execute(() => Promise.reject(new TypeError()), {}).catch(() => 0);
       seen.push(currentAttempt() ?? 'none');`,
      ['none'],
    ],
  ])('%s', (_when, program, expected) => {
    expect(answersOf(program)).toEqual(expected);
  });

  // Only the async context could tell the two apart, and nothing is stored in it before the first
  // question: it is answered wrongly there, once in a process.
  it.failing('outside, while a plain call is under way', () => {
    const program = `const running = retry().execute(turns); seen.push(currentAttempt() ?? 'none'); await running;`;
    expect(answersOf(program)).toEqual(['none']);
  });
});
