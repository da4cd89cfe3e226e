/** Limits are answered after the shutdown too: a hook that waits for one must not hold up `app.close()`. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { Global, Module, type OnApplicationShutdown } from '@nestjs/common';
import { Test } from '@nestjs/testing';
import { ResilienceModule, TimeLimit, bulkhead } from 'nestjs-bulwark';
import { Lab, deferred, settled } from '../support/lab.js';

const never = (): Promise<never> => new Promise(() => undefined);

class Metrics implements OnApplicationShutdown {
  readonly seen: unknown[] = [];
  flushing = false;

  @TimeLimit(50)
  flush(): Promise<never> {
    this.flushing = true;
    return never();
  }

  async onApplicationShutdown(): Promise<void> {
    this.seen.push(await settled(this.flush()));
  }
}
@Global()
@Module({ providers: [Metrics] })
class MetricsModule {}

// Its hooks run after those of the module that ends waits and timers.
it('app.close() ends although a hook hangs under a time limit', async () => {
  const { clock, runtime } = new Lab();
  const module = await Test.createTestingModule({
    imports: [MetricsModule, ResilienceModule.forRoot({ runtime })],
  }).compile();
  const app = await module.init();
  let closed = false;
  void app.close().then(() => (closed = true));
  while (!app.get(Metrics).flushing) await nextTurn();
  await clock.advance(50);
  expect(app.get(Metrics).seen).toMatchObject([{ error: { code: 'TIMEOUT' } }]);
  expect(closed).toBe(true);
});

it('a call under way when the application shuts down is answered at its limit, one that begins later too', async () => {
  const { clock, runtime } = new Lab();
  class Queue {
    @TimeLimit(100)
    take(): Promise<never> {
      return never();
    }
  }
  const module = await Test.createTestingModule({
    imports: [ResilienceModule.forRoot({ runtime })],
    providers: [Queue],
  }).compile();
  const app = await module.init();
  const answers: unknown[] = [];
  void settled(app.get(Queue).take()).then((answer) => answers.push(answer));
  await clock.advance(10);
  await app.close();
  void settled(app.get(Queue).take()).then((answer) => answers.push(answer));
  await clock.advance(10_000);
  expect(answers).toHaveLength(2);
});

it('a bulkhead made by hand, in which such a call waits, lets it go or start', async () => {
  const { clock, runtime } = new Lab();
  const slots = bulkhead({ maxConcurrent: 1, maxQueue: 3 }, { runtime });
  class Reports {
    @TimeLimit(100)
    render(): Promise<string> {
      return slots.execute(() => 'rendered');
    }
  }
  const module = await Test.createTestingModule({
    imports: [ResilienceModule.forRoot({ runtime })],
    providers: [Reports],
  }).compile();
  const app = await module.init();
  const busy = deferred();
  void slots.execute(() => busy.promise);
  let answer: unknown = 'never answered';
  void settled(app.get(Reports).render()).then((outcome) => (answer = outcome));
  await clock.advance(0);
  await app.close();
  await clock.advance(1000);
  busy.resolve(1);
  await clock.advance(1000);
  expect([slots.snapshot().queued, answer]).toEqual([0, expect.anything()]);
  expect(answer).not.toBe('never answered');
});

it('and no timer keeps the process alive for calls that begin after one has ended', async () => {
  const { clock, runtime } = new Lab();
  const first = deferred();
  class Queue {
    @TimeLimit(60_000)
    take(work: Promise<unknown>): Promise<unknown> {
      return work;
    }
  }
  const module = await Test.createTestingModule({
    imports: [ResilienceModule.forRoot({ runtime })],
    providers: [Queue],
  }).compile();
  const app = await module.init();
  const running = app.get(Queue).take(first.promise);
  await app.close();
  expect(clock.pendingTimers).toBe(0);
  first.resolve('done');
  await running;
  void settled(app.get(Queue).take(new Promise(() => undefined)));
  expect(clock.pendingTimers).toBe(0);
});
