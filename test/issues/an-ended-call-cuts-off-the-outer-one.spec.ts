/** A call that was started in an inner call, which has ended, and that the outer one waits for: an abort of the outer one reaches it. */
import { bulkhead, currentSignal, retry, timeLimit } from 'nestjs-bulwark/core';
import { Lab, deferred, down, settled } from '../support/lab.js';

const never = (): Promise<never> => new Promise(() => undefined);

it('R62: a queued call begun in an inner call that has ended starts or is refused, and leaves the queue', async () => {
  const { runtime, clock } = new Lab();
  const slots = bulkhead({ maxConcurrent: 1, maxQueue: 1 }, { runtime });
  const busy = deferred();
  void slots.execute(() => busy.promise);
  let outcome: unknown = 'never answered';
  const outer = settled(
    timeLimit(100, { runtime }).execute(async () => {
      let job!: Promise<unknown>;
      await timeLimit(50, { runtime }).execute(() => {
        job = settled(slots.execute(() => 'started')).then((o) => (outcome = o));
        return 'submitted';
      });
      await job;
    }),
  );
  await clock.advance(100);
  expect(await outer).toMatchObject({ error: { code: 'TIMEOUT' } });
  busy.resolve(1);
  await clock.runAll();
  expect([slots.snapshot().queued, outcome]).not.toEqual([1, 'never answered']);
  expect(slots.snapshot().queued).toBe(0);
});

it('the place in the queue is lost: the next calls are rejected although nothing runs', async () => {
  const { runtime, clock } = new Lab();
  const slots = bulkhead({ maxConcurrent: 1, maxQueue: 1 }, { runtime });
  const busy = deferred();
  void slots.execute(() => busy.promise);
  void settled(
    timeLimit(100, { runtime }).execute(async () => {
      let job!: Promise<unknown>;
      await timeLimit(50, { runtime }).execute(() => void (job = slots.execute(() => 'started')));
      await job;
    }),
  );
  await clock.advance(100);
  busy.resolve(1);
  await clock.runAll();
  const calls = [slots.execute(() => 1), slots.execute(() => 2)].map(settled);
  expect(await Promise.all(calls)).toEqual([{ value: 1 }, { value: 2 }]);
});

it('a call begun inside two running calls is still bound by the outer one when the inner has ended', async () => {
  const { runtime, clock } = new Lab();
  let signal: AbortSignal | undefined;
  const outer = settled(
    timeLimit(100, { runtime }).execute(async () => {
      let job!: Promise<unknown>;
      await timeLimit(50, { runtime }).execute(() => {
        job = timeLimit(10_000, { runtime }).execute((call) => {
          signal = call.signal;
          return never();
        });
        return 'submitted';
      });
      await job;
    }),
  );
  await clock.advance(100);
  expect(await outer).toMatchObject({ error: { code: 'TIMEOUT' } });
  expect(signal?.aborted).toBe(true);
});

it('its retries stop when the outer call is aborted', async () => {
  const { runtime, clock } = new Lab();
  const controller = new AbortController();
  let tries = 0;
  const outer = settled(
    timeLimit(100_000, { runtime }).execute(
      async () => {
        let job!: Promise<unknown>;
        await timeLimit(50, { runtime }).execute(() => {
          job = retry({ maxAttempts: 10, baseDelay: 10 }, { runtime }).execute(() => {
            tries++;
            throw down;
          });
          return 'submitted';
        });
        await job;
      },
      { signal: controller.signal },
    ),
  );
  await clock.advance(15);
  controller.abort(new Error('left'));
  await outer;
  const then = tries;
  await clock.advance(5000);
  expect(tries).toBe(then);
});

it('a stream made in an inner call is read in the outer one, and aborted with it', async () => {
  const { runtime, clock } = new Lab();
  let signal: AbortSignal | undefined;
  const stream = retry({}, { runtime }).wrap(async function* () {
    signal = currentSignal();
    yield 1;
    await never();
  });
  void settled(
    timeLimit(100, { runtime }).execute(async () => {
      const { items } = await timeLimit(50, { runtime }).execute(() => ({ items: stream() }));
      for await (const item of items) expect(item).toBe(1);
    }),
  );
  await clock.advance(100);
  expect(signal?.aborted).toBe(true);
});
