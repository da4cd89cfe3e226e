import { RateLimit } from 'nestjs-bulwark';
import { resetDefaultRegistry } from 'nestjs-bulwark/testing';
import { lastValueFrom, of } from 'rxjs';

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
