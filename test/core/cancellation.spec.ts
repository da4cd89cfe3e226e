import { getEventListeners } from 'node:events';
import { jest } from '@jest/globals';
import { AbortError, CircuitBreaker, Lifetime, isAbortError, retry } from 'nestjs-bulwark/core';
import { CancelScope, cancellationOf } from '../../lib/core/cancellation.js';
import { runtimeWith } from '../../lib/core/runtime.js';
import { wait } from '../../lib/core/wait.js';
import { Lab, deferred, down, settled } from '../support/lab.js';

const reason = new Error('gone');
const listenersOf = (signal: AbortSignal): number => getEventListeners(signal, 'abort').length;

describe("a caller's signal", () => {
  it('gets one listener, however many listen through it, and none when the last has left', () => {
    const { signal } = new AbortController();
    const leaves = Array.from({ length: 100 }, () =>
      cancellationOf(signal).onAbort(() => undefined),
    );
    expect(listenersOf(signal)).toBe(1);
    leaves.forEach((leave) => {
      leave();
      leave();
    });
    expect(listenersOf(signal)).toBe(0);
  });

  it('tells every listener once, also two that are the same function', () => {
    const controller = new AbortController();
    const listener = jest.fn();
    const cancellation = cancellationOf(controller.signal);
    cancellation.onAbort(listener);
    const leave = cancellation.onAbort(listener);
    cancellation.onAbort(listener);
    leave();
    controller.abort(reason);
    expect(listener.mock.calls).toEqual([[reason], [reason]]);
    expect(listenersOf(controller.signal)).toBe(0);
  });

  it('tells who listens now, also where one who has left leaves again', () => {
    const scope = new CancelScope();
    const [gone, listener] = [jest.fn(), jest.fn()];
    const leave = scope.onAbort(gone);
    leave();
    scope.onAbort(listener);
    leave();
    scope.abort(reason);
    expect([gone, listener].map(({ mock }) => mock.calls)).toEqual([[], [[reason]]]);
  });

  it('that is aborted already tells at once', () => {
    const cancellation = cancellationOf(AbortSignal.abort(reason));
    const listener = jest.fn();
    cancellation.onAbort(listener)();
    expect(listener.mock.calls).toEqual([[reason]]);
    expect(cancellation).toMatchObject({ aborted: true, reason });
  });

  it('shared by 10,000 calls keeps no listener of theirs', async () => {
    const lab = new Lab();
    const { signal } = new AbortController();
    const breaker = new CircuitBreaker('b', {}, lab);
    const policy = retry({ maxDelay: 1 }, lab);
    const gates = Array.from({ length: 5000 }, () => deferred());
    const running = gates.flatMap(({ promise }, at) => [
      settled(breaker.execute((call) => (call.signal.aborted ? 0 : promise), { signal })),
      settled(
        policy.execute(
          ({ attempt, signal: own }) => {
            own.throwIfAborted();
            return at % 3 === 0 && attempt === 1 ? Promise.reject(down) : promise;
          },
          { signal },
        ),
      ),
    ]);
    await lab.clock.advance(0);
    expect(listenersOf(signal)).toBe(1);
    gates.forEach((gate) => gate.resolve('fine'));
    await lab.clock.runAll();
    await Promise.all(running);
    expect(listenersOf(signal)).toBe(0);
  });

  it('given to a call inside another leaves neither with a listener', async () => {
    const [outer, inner] = [new AbortController(), new AbortController()];
    const breaker = new CircuitBreaker('b');
    await breaker.execute(
      () =>
        breaker.execute(({ signal }) => expect(signal.aborted).toBe(false), {
          signal: inner.signal,
        }),
      { signal: outer.signal },
    );
    expect(listenersOf(inner.signal)).toBe(0);
    expect(listenersOf(outer.signal)).toBe(0);
  });

  it.each([null, undefined])('%p is none', async (signal) => {
    expect(await new CircuitBreaker('b').execute(() => 'called', { signal } as never)).toBe(
      'called',
    );
  });

  it.each([0, 1])('of either call aborts the inner one (%d)', async (which) => {
    const controllers = [new AbortController(), new AbortController()] as const;
    const breaker = new CircuitBreaker('b');
    let seen: AbortSignal | undefined;
    const outcome = settled(
      breaker.execute(
        () =>
          breaker.execute(
            ({ signal }) => {
              seen = signal;
              return new Promise(() => undefined);
            },
            { signal: controllers[1].signal },
          ),
        { signal: controllers[0].signal },
      ),
    );
    controllers[which as 0 | 1].abort(reason);
    expect(await outcome).toEqual({ error: reason });
    expect(seen?.reason).toBe(reason);
  });
});

describe('a scope', () => {
  it('tells its listeners once, keeps its reason, and hears no second abort', () => {
    const scope = new CancelScope();
    const listener = jest.fn();
    scope.onAbort(listener);
    expect(scope).toMatchObject({ aborted: false, reason: undefined });
    scope.abort(reason);
    scope.abort(down);
    expect(listener.mock.calls).toEqual([[reason]]);
    expect(scope).toMatchObject({ aborted: true, reason });
    expect(scope.signal.reason).toBe(reason);
  });

  it('makes its signal when it is asked for, once', () => {
    const scope = new CancelScope();
    const { signal } = scope;
    expect(scope.signal).toBe(signal);
    expect(signal.aborted).toBe(false);
    scope.abort(reason);
    expect(signal.reason).toBe(reason);
  });

  it.each(['signal', 'listener', 'nobody'])('passes on its parent to %s', (asked) => {
    const parent = new AbortController();
    const scope = new CancelScope(undefined, cancellationOf(parent.signal));
    const listener = jest.fn();
    const signal = asked === 'signal' ? scope.signal : undefined;
    if (asked === 'listener') scope.onAbort(listener);
    expect(listenersOf(parent.signal)).toBe(asked === 'nobody' ? 0 : 1);
    parent.abort(reason);
    expect(scope).toMatchObject({ aborted: true, reason });
    if (signal) expect(signal.reason).toBe(reason);
    if (asked === 'listener') expect(listener.mock.calls).toEqual([[reason]]);
    expect(scope.signal.reason).toBe(reason);
    expect(listenersOf(parent.signal)).toBe(0);
  });

  it('aborted after its parent keeps the reason of the first', () => {
    const parent = new CancelScope();
    const scope = new CancelScope(parent);
    parent.abort(reason);
    scope.abort(down);
    expect(scope.reason).toBe(reason);
    expect(scope.signal.reason).toBe(reason);
  });

  it('tells at once a listener that comes too late, also of a parent', () => {
    const parent = new CancelScope();
    const scope = new CancelScope(parent);
    parent.abort(reason);
    const listener = jest.fn();
    scope.onAbort(listener)();
    expect(listener.mock.calls).toEqual([[reason]]);
  });

  it('leaves its parents with its last listener, and goes back to them with the next', () => {
    const { signal } = new AbortController();
    const scope = new CancelScope(cancellationOf(signal));
    const leaves = [scope.onAbort(() => undefined), scope.onAbort(() => undefined)];
    leaves[0]?.();
    expect(listenersOf(signal)).toBe(1);
    leaves[1]?.();
    leaves[1]?.();
    expect(listenersOf(signal)).toBe(0);
    scope.onAbort(() => undefined);
    expect(listenersOf(signal)).toBe(1);
  });

  it('closed no longer aborts its signal, and listens to its own caller no more', () => {
    const [outer, own] = [new AbortController(), new AbortController()];
    const scope = new CancelScope(cancellationOf(outer.signal), cancellationOf(own.signal));
    const { signal } = scope;
    scope.close();
    expect([listenersOf(outer.signal), listenersOf(own.signal)]).toEqual([0, 0]);
    own.abort(new Error('another'));
    scope.abort(reason);
    expect(scope).toMatchObject({ aborted: false, reason: undefined });
    outer.abort(reason);
    expect(signal.aborted).toBe(false);
    expect(scope).toMatchObject({ aborted: true, reason });
  });

  it.each(['before', 'after'])(
    'lets those who listen since %s it was closed know of an abort around it',
    (since) => {
      const outer = new AbortController();
      const scope = new CancelScope(cancellationOf(outer.signal));
      const [listener, left] = [jest.fn(), jest.fn()];
      if (since === 'after') scope.close();
      const leave = scope.onAbort(left);
      scope.onAbort(listener);
      scope.close();
      leave();
      outer.abort(reason);
      expect(listener.mock.calls).toEqual([[reason]]);
      expect(left).not.toHaveBeenCalled();
      expect(listenersOf(outer.signal)).toBe(0);
    },
  );

  it('closed has a signal that an abort around it leaves alone, also where it is asked for later', () => {
    const outer = new AbortController();
    const scope = new CancelScope(cancellationOf(outer.signal));
    scope.close();
    const { signal } = scope;
    outer.abort(reason);
    expect(signal.aborted).toBe(false);
  });

  it('closed passes on nothing of its own caller, also to those who listen later', () => {
    const own = new AbortController();
    const scope = new CancelScope(undefined, cancellationOf(own.signal));
    const listener = jest.fn();
    scope.close();
    scope.onAbort(listener);
    own.abort(reason);
    expect(listener).not.toHaveBeenCalled();
    expect(listenersOf(own.signal)).toBe(0);
  });

  it('closed and without anything around it hears of nothing', () => {
    const scope = new CancelScope();
    const listener = jest.fn();
    scope.onAbort(listener);
    scope.close();
    scope.onAbort(listener)();
    scope.abort(reason);
    expect(listener).not.toHaveBeenCalled();
    expect(new CancelScope(scope).aborted).toBe(false);
  });

  it('closed makes a signal still, which stays as the scope was', () => {
    const [open, aborted] = [new CancelScope(), new CancelScope()];
    aborted.abort(reason);
    for (const scope of [open, aborted]) scope.close();
    expect(open.signal.aborted).toBe(false);
    expect(aborted.signal.reason).toBe(reason);
  });
});

describe('a wait', () => {
  let lab: Lab;
  beforeEach(() => {
    lab = new Lab();
  });

  it('ends with its time', async () => {
    const outcome = settled(wait(50, runtimeWith(lab.runtime)));
    await lab.clock.advance(49);
    expect(lab.clock.pendingTimers).toBe(1);
    await lab.clock.advance(1);
    expect(await outcome).toEqual({ value: undefined });
  });

  it.each<[string, boolean, boolean]>([
    ['the abort', true, false],
    ['the end of the application', false, true],
    ['an abort that was there before', true, true],
  ])('ends with %s and leaves nothing behind', async (_what, aborts, ends) => {
    const controller = new AbortController();
    const lifetime = new Lifetime();
    const leaves: jest.Mock[] = [];
    const onEnd = lifetime.onEnd.bind(lifetime);
    jest.spyOn(lifetime, 'onEnd').mockImplementation((ending) => {
      const leave = jest.fn(onEnd(ending));
      leaves.push(leave);
      return leave;
    });
    if (aborts && ends) controller.abort(reason);
    const runtime = runtimeWith({ ...lab.runtime, lifetime });
    const outcome = settled(wait(50, runtime, cancellationOf(controller.signal)));
    if (aborts) controller.abort(reason);
    else lifetime.end();
    const { error } = (await outcome) as { error: unknown };
    if (aborts) expect(error).toBe(reason);
    else expect(error).toMatchObject({ name: 'AbortError', message: 'Shutting down' });
    expect(lab.clock.pendingTimers).toBe(0);
    expect(listenersOf(controller.signal)).toBe(0);
    for (const leave of leaves) expect(leave).toHaveBeenCalled();
  });
});

it.each([[down], [undefined]])(
  'a wait cut short at shutdown names %s as what it waited after',
  async (cause) => {
    const lifetime = new Lifetime();
    const runtime = runtimeWith({ ...new Lab().runtime, lifetime });
    const outcome = settled(wait(50, runtime, undefined, cause));
    lifetime.end();
    const { error } = (await outcome) as { error: Error };
    expect(error.cause).toBe(cause);
    expect('cause' in error).toBe(cause !== undefined);
  },
);

describe('a lifetime', () => {
  it('calls each ending once at its end, and at once after it', () => {
    const lifetime = new Lifetime();
    const endings = [jest.fn(), jest.fn(), jest.fn()] as const;
    lifetime.onEnd(endings[0]);
    lifetime.onEnd(endings[1])();
    expect(lifetime.ended).toBe(false);
    lifetime.end();
    lifetime.end();
    expect(lifetime.ended).toBe(true);
    lifetime.onEnd(endings[2])();
    expect(endings.map((ending) => ending.mock.calls.length)).toEqual([1, 0, 1]);
  });
});

describe('isAbortError', () => {
  const throws = (): never => {
    throw down;
  };

  it.each<[string, unknown, boolean]>([
    ['ours', new AbortError(), true],
    ['ours with a message', new AbortError('given up'), true],
    ["the platform's", new DOMException('gone', 'AbortError'), true],
    ["a signal's own reason", AbortSignal.abort().reason, true],
    ['one by name', { name: 'AbortError' }, true],
    ['one by code', { code: 'ABORT_ERR' }, true],
    ["axios's", { name: 'CanceledError', code: 'ERR_CANCELED' }, true],
    ["the platform's time-out", new DOMException('late', 'TimeoutError'), false],
    ['any error', down, false],
    ['a string', 'AbortError', false],
    ['null', null, false],
    ['nothing', undefined, false],
    ['a hostile proxy', new Proxy({}, { get: throws }), false],
  ])('%s', (_what, error, expected) => {
    expect(isAbortError(error)).toBe(expected);
  });
});
