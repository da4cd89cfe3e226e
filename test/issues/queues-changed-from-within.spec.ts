import {
  type BulkheadOptions,
  type BulkheadPolicy,
  EventHub,
  bulkhead,
  rateLimit,
  timeLimit,
} from 'nestjs-bulwark/core';
import { type Deferred, Lab, deferred, settled } from '../support/lab.js';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});

/** A bulkhead of one, with a queue. */
const oneSlot = (options?: BulkheadOptions): BulkheadPolicy =>
  bulkhead({ maxConcurrent: 1, maxQueue: 5, ...options }, { runtime: lab.runtime });

/** Work that is told when to end, by its number. */
class Works {
  readonly started: string[] = [];
  readonly #work = new Map<string, Deferred<string>>();

  readonly start = (id: string, first?: () => void) => (): Promise<string> => {
    this.started.push(id);
    first?.();
    const work = deferred<string>();
    this.#work.set(id, work);
    return work.promise;
  };

  resolve(id: string): void {
    this.#work.get(id)?.resolve(id);
  }

  async end(id: string): Promise<void> {
    this.resolve(id);
    await lab.clock.advance(0);
  }
}

describe('a call that leaves a queue leaves it once', () => {
  it('where a listener to its rejection aborts it', async () => {
    const events = new EventHub(() => lab.clock.wallTime(), lab.logger);
    const slots = bulkhead(
      { maxConcurrent: 1, maxQueue: 5, queueTimeout: 100 },
      { runtime: { ...lab.runtime, events } },
    );
    const impatient = new AbortController();
    events.listen(({ type }) => {
      if (type === 'bulkhead.rejected') impatient.abort(new Error('left'));
    });
    const works = new Works();
    void settled(slots.execute(works.start('a')));
    const b = settled(slots.execute(works.start('b'), { signal: impatient.signal }));
    await lab.clock.advance(60);
    const c = settled(slots.execute(works.start('c')));
    await lab.clock.advance(40);
    expect(await b).toEqual({ error: new Error('left') });
    expect(slots.snapshot()).toMatchObject({ queued: 1, calls: { queue_timeout: 1, aborted: 0 } });
    await works.end('a');
    await works.end('c');
    expect(await c).toEqual({ value: 'c' });
    expect(slots.snapshot()).toMatchObject({ queued: 0, inUse: 0 });
  });

  it('where a listener to its abort makes room in a bulkhead', async () => {
    const slots = oneSlot();
    const leaving = new AbortController();
    leaving.signal.addEventListener('abort', () => slots.configure({ maxConcurrent: 2 }));
    const works = new Works();
    void settled(slots.execute(works.start('a')));
    const b = settled(slots.execute(works.start('b'), { signal: leaving.signal }));
    const c = settled(slots.execute(works.start('c')));
    const d = settled(slots.execute(works.start('d')));
    const reason = new Error('left');
    leaving.abort(reason);
    expect(await b).toEqual({ error: reason });
    expect(works.started).toEqual(['a', 'c']);
    expect(slots.snapshot()).toMatchObject({ queued: 1, calls: { accepted: 2, aborted: 1 } });
    for (const id of ['a', 'c', 'd']) await works.end(id);
    expect([await c, await d]).toEqual([{ value: 'c' }, { value: 'd' }]);
    expect(slots.snapshot()).toMatchObject({ queued: 0, inUse: 0 });
  });

  it('where a listener to its abort ends all waiting for a rate limit', async () => {
    const tokens = rateLimit({ limit: 1, interval: 100, maxWait: '1h' }, { runtime: lab.runtime });
    const leaving = new AbortController();
    leaving.signal.addEventListener('abort', () => tokens.configure({ mode: 'shadow' }));
    const works = new Works();
    void settled(tokens.execute(works.start('a')));
    const b = settled(tokens.execute(works.start('b'), { signal: leaving.signal }));
    void settled(tokens.execute(works.start('c')));
    const reason = new Error('left');
    leaving.abort(reason);
    expect(await b).toEqual({ error: reason });
    expect(works.started).toEqual(['a', 'c']);
    expect(tokens.snapshot()).toMatchObject({ queued: 0, calls: { permitted: 1, waited: 1 } });
  });

  it('where one of two calls that are aborted together changes the limit in between', async () => {
    const slots = oneSlot();
    const around = timeLimit('1h', { runtime: lab.runtime });
    const works = new Works();
    void settled(slots.execute(works.start('a')));
    const leaving = new AbortController();
    const both: Promise<unknown>[] = [];
    const call = around.execute(
      ({ signal }) => {
        both.push(settled(slots.execute(works.start('b'))));
        signal.addEventListener('abort', () => slots.configure({ maxConcurrent: 3 }));
        both.push(settled(slots.execute(works.start('c'))));
        return Promise.all(both);
      },
      { signal: leaving.signal },
    );
    const reason = new Error('left');
    leaving.abort(reason);
    expect(await settled(call)).toEqual({ error: reason });
    expect(await Promise.all(both)).toEqual([{ error: reason }, { error: reason }]);
    expect(works.started).toEqual(['a']);
    expect(slots.snapshot()).toMatchObject({ queued: 0, inUse: 1, calls: { aborted: 2 } });
  });
});

describe('a queue keeps its order', () => {
  it('where the first call that starts makes another one', async () => {
    const slots = oneSlot();
    const works = new Works();
    void settled(slots.execute(works.start('a')));
    void settled(
      slots.execute(works.start('b', () => void settled(slots.execute(works.start('nested'))))),
    );
    void settled(slots.execute(works.start('c')));
    slots.configure({ maxConcurrent: 3 });
    expect(works.started).toEqual(['a', 'b', 'c']);
    await works.end('b');
    expect(works.started).toEqual(['a', 'b', 'c', 'nested']);
  });

  it('and starts no more than there is room for, where the first call that starts takes room away', async () => {
    const slots = oneSlot();
    const works = new Works();
    void settled(slots.execute(works.start('a')));
    void settled(slots.execute(works.start('b', () => slots.configure({ maxConcurrent: 1 }))));
    void settled(slots.execute(works.start('c')));
    slots.configure({ maxConcurrent: 3 });
    expect(works.started).toEqual(['a', 'b']);
    await works.end('a');
    expect(works.started).toEqual(['a', 'b']);
    await works.end('b');
    expect(works.started).toEqual(['a', 'b', 'c']);
  });
});

describe('a call that waits when the deadline around it has come, and its timer is late,', () => {
  it('is started where the call around it ends before that and leaves it behind', async () => {
    const slots = oneSlot();
    const works = new Works();
    for (const [holder, waiting] of [
      ['a', 'b'],
      ['c', 'd'],
    ] as const) {
      const around = deferred<string>();
      const held = settled(slots.execute(works.start(holder)));
      let left: Promise<unknown> | undefined;
      const outer = settled(
        timeLimit(100, { runtime: lab.runtime }).execute(() => {
          left = settled(slots.execute(works.start(waiting)));
          return around.promise; // as a failing Promise.all does
        }),
      );
      await lab.clock.advance(0);
      lab.clock.jump(100); // the thread was busy
      works.resolve(holder);
      await held;
      around.resolve('in time');
      expect(await outer).toEqual({ value: 'in time' });
      await lab.clock.advance(0);
      expect(works.started.at(-1)).toBe(waiting);
      await works.end(waiting);
      expect(await left).toEqual({ value: waiting });
      expect(slots.snapshot()).toMatchObject({ queued: 0, inUse: 0 });
    }
  });
});

describe('a call that has waited too long', () => {
  it('does not start where room comes before the timer that is late', async () => {
    const slots = oneSlot({ queueTimeout: 100 });
    const works = new Works();
    void settled(slots.execute(works.start('a')));
    const b = settled(slots.execute(works.start('b')));
    lab.clock.jump(90);
    const c = settled(slots.execute(works.start('c')));
    lab.clock.jump(60); // the thread was busy
    await works.end('a');
    expect(works.started).toEqual(['a', 'c']);
    expect(await b).toMatchObject({ error: { code: 'BULKHEAD_FULL' } });
    await works.end('c');
    expect(await c).toEqual({ value: 'c' });
    expect(slots.snapshot()).toMatchObject({ queued: 0, inUse: 0, calls: { queue_timeout: 1 } });
  });

  it('has not waited too long in the very instant in which its time is over', async () => {
    const slots = oneSlot({ queueTimeout: 100 });
    const works = new Works();
    void settled(slots.execute(works.start('a')));
    void settled(slots.execute(works.start('b')));
    await lab.clock.advance(0);
    lab.clock.jump(100);
    slots.configure({ maxConcurrent: 2 });
    expect(works.started).toEqual(['a', 'b']);
  });
});
