import { jest } from '@jest/globals';
import {
  AbortError,
  CircuitBreakerError,
  Fallback,
  type FallbackHandler,
  type FallbackOptions,
  type FallbackPolicy,
  RetryExhaustedError,
  TimeLimit,
  TimeoutError,
  currentAttempt,
  currentSignal,
  fallback,
  pipeline,
  remainingTime,
  retry,
  timeLimit,
} from 'nestjs-bulwark';
import { resetDefaultRegistry } from 'nestjs-bulwark/testing';
import { Lab, coded, down, settled, thrownBy } from '../support/lab.js';

afterEach(resetDefaultRegistry);

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});

const falling = (handler: FallbackHandler, options?: FallbackOptions): FallbackPolicy =>
  fallback(handler, options, { runtime: lab.runtime });
const failing = (error: unknown) => (): never => {
  throw error;
};
const abort = new AbortError('given up');

describe('R63 a fallback', () => {
  it.each([
    ['a constant', () => 'spare'],
    ['a promise', async () => 'spare'],
    ['a foreign thenable', () => ({ then: (ok: (value: string) => void) => ok('spare') })],
  ])('answers failed work with %s', async (_what, handler) => {
    const policy = falling(handler);
    expect(await lab.resultOf(policy.execute(failing(down)))).toBe('spare');
    expect(await lab.resultOf(policy.execute(() => Promise.reject(down)))).toBe('spare');
    expect(policy.snapshot().calls).toEqual({ served: 2, failed: 0 });
  });

  it('leaves work that succeeds alone', async () => {
    const handler = jest.fn();
    const policy = falling(handler);
    expect(await lab.resultOf(policy.execute(() => 'fine'))).toBe('fine');
    expect(await lab.resultOf(policy.execute(async () => 'fine'))).toBe('fine');
    expect(handler).not.toHaveBeenCalled();
    expect(policy.snapshot().calls).toEqual({ served: 0, failed: 0 });
  });

  it('gives the handler the error, the arguments and `this`', async () => {
    const policy = falling(function (this: unknown, ...args: unknown[]) {
      return [this, ...args];
    });
    const fetch: (id: string, page: number) => Promise<unknown> = async () => failing(down)();
    const service = { fetch: policy.wrap(fetch) };
    expect(await lab.resultOf(service.fetch('a', 2))).toEqual([service, down, 'a', 2]);
  });

  it('gives it the error and the call under execute', async () => {
    const handler = jest.fn<FallbackHandler>(() => 'spare');
    await falling(handler).execute(failing(down));
    expect(handler).toHaveBeenCalledWith(down, expect.objectContaining({ attempt: 1 }));
  });

  it.each([
    ['any error', undefined, down, true],
    ['a rejection', undefined, new CircuitBreakerError('x'), true],
    ['a time-out', undefined, new TimeoutError(5), true],
    ['what is no error', undefined, 'text', true],
    ['undefined', undefined, undefined, true],
    ['an abort', undefined, abort, false],
    ['an error of the class', TypeError, new TypeError('x'), true],
    ['one of another class', TypeError, down, false],
    ['a rejection, by the class Error', Error, new CircuitBreakerError('x'), true],
    ['an abort, by the class Error', Error, abort, false],
    ['an abort, by its own class', AbortError, abort, true],
    ['the code', 'EPIPE', coded('EPIPE'), true],
    ['the predicate', (error: unknown) => error === down, down, true],
    ['one of a list', [TypeError, 'EPIPE'], coded('EPIPE'), true],
  ] as const)('covers, or not: %s', async (_what, on, error, covered) => {
    const outcome = await lab.outcomeOf(falling(() => 'spare', { on }).execute(failing(error)));
    expect(outcome).toEqual(covered ? { value: 'spare' } : { error });
  });

  it('never answers a caller who has aborted, whatever the reason', async () => {
    const handler = jest.fn(() => 'spare');
    const caller = new AbortController();
    const running = falling(handler, { on: () => true }).execute(
      ({ signal }) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => reject(signal.reason as Error));
        }),
      { signal: caller.signal },
    );
    caller.abort(down);
    expect(await lab.errorOf(running)).toBe(down);
    expect(handler).not.toHaveBeenCalled();
  });

  it('R19 a filter that throws is logged and covers nothing', async () => {
    const broken = new Error('filter');
    const policy = falling(() => 'spare', { on: failing(broken) });
    expect(await lab.errorOf(policy.execute(failing(down)))).toBe(down);
    expect(lab.logger.errors).toEqual([
      {
        message: 'Fallback "fallback": the filter "on" threw; the error is not covered',
        cause: broken,
      },
    ]);
  });

  describe('whose handler fails', () => {
    const own = (): Error => new Error('no spare');
    it.each([
      ['by throwing', (error: Error) => failing(error)],
      ['by rejecting', (error: Error) => () => Promise.reject(error)],
    ])('%s throws that error, with the original as its cause', async (_how, handlerOf) => {
      const error = own();
      const policy = falling(handlerOf(error));
      expect(await lab.errorOf(policy.execute(failing(down)))).toBe(error);
      expect(error.cause).toBe(down);
      expect(Object.getOwnPropertyDescriptor(error, 'cause')).toEqual({
        value: down,
        enumerable: false,
        writable: true,
        configurable: true,
      });
      expect(policy.snapshot().calls).toEqual({ served: 0, failed: 1 });
    });

    it.each([
      ['has a cause of its own', new Error('x', { cause: 'mine' }), 'mine'],
      ['says that it has none', new Error('x', { cause: undefined }), undefined],
      ['is frozen', Object.freeze(own()), undefined],
      ['is the original', down, undefined],
      ['is no error', 'text', undefined],
      ['is undefined', undefined, undefined],
    ])('leaves alone what %s', async (_what, error, cause) => {
      expect(await lab.errorOf(falling(failing(error)).execute(failing(down)))).toBe(error);
      expect((error as Error | undefined)?.cause).toBe(cause);
    });

    it('makes no circle of causes', async () => {
      const root = own();
      const original = new Error('wrapped', { cause: new Error('again', { cause: root }) });
      expect(await lab.errorOf(falling(failing(root)).execute(failing(original)))).toBe(root);
      expect(root.cause).toBeUndefined();
    });
  });

  it('outside a retry answers once the attempts are over', async () => {
    const handler = jest.fn<FallbackHandler>(() => 'spare');
    let attempts = 0;
    const calls = pipeline(falling(handler), retry({}, { runtime: lab.runtime }));
    expect(await lab.resultOf(calls.execute(() => (attempts++, failing(down)())))).toBe('spare');
    expect(attempts).toBe(3);
    expect(handler.mock.calls[0]?.[0]).toBeInstanceOf(RetryExhaustedError);
  });

  it('inside a retry hides the failures from it', async () => {
    let attempts = 0;
    const calls = pipeline(
      retry({}, { runtime: lab.runtime }),
      falling(() => 'spare'),
    );
    expect(await lab.resultOf(calls.execute(() => (attempts++, failing(down)())))).toBe('spare');
    expect(attempts).toBe(1);
  });
});

describe('a fallback as a policy', () => {
  it('R81 has an id, a description and a snapshot', () => {
    const policy = fallback(() => 'spare', { on: TypeError }, { name: 'rates' });
    expect(policy.id).toBe('fallback:rates');
    expect(policy.describe()).toEqual([
      { kind: 'fallback', name: 'rates', options: { on: TypeError } },
    ]);
    expect(fallback(() => 'spare').snapshot()).toEqual({
      id: 'fallback:fallback',
      kind: 'fallback',
      name: 'fallback',
      options: { on: undefined },
      calls: { served: 0, failed: 0 },
    });
  });

  it.each([
    [undefined, {}, ['fallback(fallback) handler must be a function']],
    ['method', { on: 5 }, ['handler', 'fallback(fallback).on']],
    [() => 1, { on: async () => true }, ['on']],
    [() => 1, { onn: TypeError }, ['onn is not a known option; did you mean "on"?']],
  ])('refuses %p with %p', (handler, options, problems) => {
    expect(thrownBy(() => fallback(handler as never, options as never))).toMatchObject({
      code: 'INVALID_CONFIG',
      issues: problems.map((each) => expect.stringContaining(each) as unknown),
    });
  });
});

describe('a handler is a part of the call: it', () => {
  it('R45: answers currentSignal(), currentAttempt() and remainingTime()', async () => {
    class Rates {
      @TimeLimit('1h')
      @Fallback('lastKnown')
      async rate(): Promise<unknown> {
        throw down;
      }
      lastKnown(): unknown {
        return [currentAttempt(), currentSignal()?.aborted, (remainingTime() ?? 0) > 0];
      }
    }
    expect(await new Rates().rate()).toEqual([1, false, true]);
  });

  it('R61: ends its retries with the limit around it', async () => {
    const { clock, runtime } = new Lab();
    const backup = retry(
      { maxAttempts: 10, baseDelay: 60, backoff: 'constant', jitter: 0 },
      { runtime },
    );
    let calls = 0;
    const ask = (): never => {
      calls++;
      throw down;
    };
    const policy = pipeline(
      timeLimit(100, { runtime }),
      fallback(() => backup.execute(ask)),
    );
    const outcome = settled(policy.execute(() => Promise.reject(down)));
    await clock.runAll();
    await outcome;
    expect(calls).toBe(2);
  });

  it("R5: ends its retries with the caller's signal", async () => {
    const { clock, runtime } = new Lab();
    const backup = retry({ maxAttempts: 10, baseDelay: 60, jitter: 0 }, { runtime });
    let calls = 0;
    const ask = (): never => {
      calls++;
      throw down;
    };
    const caller = new AbortController();
    const outcome = settled(
      fallback(() => backup.execute(ask)).execute(() => Promise.reject(down), {
        signal: caller.signal,
      }),
    );
    await clock.advance(10);
    caller.abort(new Error('left'));
    await clock.runAll();
    await outcome;
    expect(calls).toBe(1);
  });

  it('is not asked for a caller who was answered at a limit around it', async () => {
    const { clock, runtime } = new Lab();
    const cache = fallback(() => 'cached', {}, { runtime });
    const policy = pipeline(timeLimit(100, { runtime }), cache);
    const polite = ({ signal }: { signal: AbortSignal }) =>
      new Promise((_, reject) =>
        signal.addEventListener('abort', () => reject(signal.reason as Error)),
      );
    const outcome = settled(policy.execute(polite));
    await clock.runAll();
    expect(await outcome).toMatchObject({ error: { code: 'TIMEOUT' } });
    expect(cache.snapshot().calls).toEqual({ served: 0, failed: 0 });
  });
});

describe('R63 a call that begins in an aborted one', () => {
  const saved = fallback(() => 'saved for later');
  const undo = (): Promise<unknown> => settled(saved.execute(() => Promise.reject(down)));

  it('gets the fallback as clean-up of an iteration that was left', async () => {
    let undone: unknown;
    const items = timeLimit(1000, { runtime: lab.runtime }).wrap(async function* () {
      try {
        yield 1;
        yield 2;
      } finally {
        undone = await undo();
      }
    });
    for await (const item of items()) if (item === 1) break;
    expect(undone).toEqual({ value: 'saved for later' });
  });

  it('gets the fallback as compensation of work that was told by its signal', async () => {
    let undone: unknown;
    const call = settled(
      timeLimit(100, { runtime: lab.runtime }).execute(async ({ signal }) => {
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        undone = await undo();
      }),
    );
    await lab.clock.advance(100);
    await call;
    await lab.clock.advance(0);
    expect(undone).toEqual({ value: 'saved for later' });
  });

  it('gets the fallback for an abort that the filter names', async () => {
    const named = fallback(() => 'cached', { on: 'ABORT_ERR' });
    const controller = new AbortController();
    let inner: unknown;
    await settled(
      falling(() => 'not asked').execute(
        async () => {
          controller.abort(down);
          inner = await settled(named.execute(() => Promise.reject(abort)));
        },
        { signal: controller.signal },
      ),
    );
    await lab.clock.advance(0);
    expect(inner).toEqual({ value: 'cached' });
  });
});
