import { type Policy, RateLimit, pipeline, rateLimit, retry, timeLimit } from 'nestjs-bulwark';
import { resetDefaultRegistry } from 'nestjs-bulwark/testing';
import { lastValueFrom, of } from 'rxjs';

async function* prices(): AsyncGenerator<string> {
  yield 'fine';
}

afterEach(resetDefaultRegistry);

class Prices {
  // No declared type, as methods that return client.send(...) are written: the first call shows the kind.
  @RateLimit({ limit: 1, interval: '1h' })
  latest() {
    return of('fine');
  }
}

it('R43: finding out that a method returns a stream takes no token', async () => {
  const prices = new Prices();
  expect(await lastValueFrom(prices.latest())).toBe('fine');
  await expect(lastValueFrom(prices.latest())).rejects.toMatchObject({ code: 'RATE_LIMITED' });
});

it.each<[string, (limited: Policy) => Policy]>([
  ['alone', (limited) => limited],
  ['around a layer', (limited) => pipeline(limited, retry())],
  ['around a time limit', (limited) => pipeline(limited, timeLimit('1s'))],
])('R43, R82: nor where calls may wait for one, with the rate limit %s', async (_place, around) => {
  const limited = rateLimit({ limit: 2, interval: '1h', maxWait: '1s' });
  const latest = around(limited).wrap(() => prices());
  expect(await latest().next()).toEqual({ done: false, value: 'fine' });
  expect(limited.snapshot()).toMatchObject({ calls: { permitted: 1, waited: 0, rejected: 0 } });
  expect(Math.floor(limited.snapshot().tokens)).toBe(1);
});
