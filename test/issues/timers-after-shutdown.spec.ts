/** R33: a time limit keeps its timer for the next call. After the shutdown there is none, and no timer. */
import 'reflect-metadata';
import { ResilienceModule, TimeLimit, type Timer } from 'nestjs-bulwark';
import { FakeClock } from 'nestjs-bulwark/testing';
import { closeAll, start } from '../nest/support/applications.js';

/** Knows every timer that is set, also one that would not keep a process alive. */
class WatchedClock extends FakeClock {
  readonly set = new Set<Timer>();

  override setTimeout(callback: () => void, delay: number): Timer {
    const timer = super.setTimeout(() => {
      this.set.delete(timer);
      callback();
    }, delay);
    this.set.add(timer);
    return timer;
  }

  override clearTimeout(timer: Timer): void {
    this.set.delete(timer);
    super.clearTimeout(timer);
  }
}

class Reports {
  @TimeLimit('1h')
  read(report: Promise<string>): Promise<string> {
    return report;
  }
}

afterEach(closeAll);

async function reportsOn(clock: WatchedClock): Promise<[Reports, close: () => Promise<void>]> {
  const imports = [ResilienceModule.forRoot({ runtime: { clock } })];
  const app = await start({ imports, providers: [Reports] });
  return [app.get(Reports), () => app.close()];
}

it('the timer goes where no call is under way', async () => {
  const clock = new WatchedClock();
  const [reports, close] = await reportsOn(clock);
  expect(await reports.read(Promise.resolve('done'))).toBe('done');
  expect(clock.set.size).toBe(1);
  await close();
  expect(clock.set.size).toBe(0);
});

it('the timer goes with the last call that was under way', async () => {
  const clock = new WatchedClock();
  const [reports, close] = await reportsOn(clock);
  const ends: ((report: string) => void)[] = [];
  const reading = [1, 2].map(() => reports.read(new Promise((resolve) => ends.push(resolve))));
  await close();
  for (const [at, end] of ends.entries()) {
    expect(clock.set.size).toBe(1);
    end('done');
    expect(await reading[at]).toBe('done');
  }
  expect(clock.set.size).toBe(0);
});

it('the timer goes with a call that begins later, as one of a request that is still under way', async () => {
  const clock = new WatchedClock();
  const [reports, close] = await reportsOn(clock);
  await close();
  for (let call = 0; call < 2; call++) await reports.read(Promise.resolve('done'));
  expect(clock.set.size).toBe(0);
});
