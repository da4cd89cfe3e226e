import type { Platform } from '../../sample/01-payments/src/http-adapter.js';
import { Shop } from './shop.js';

describe.each<Platform>(['express', 'fastify'])('closing the sample on %s', (platform) => {
  it.each([
    ['all is well', (shop: Shop) => shop.charge()],
    ['the circuit is open', (shop: Shop) => shop.openCircuit()],
    ['a charge hangs', hang],
    ['a charge waits for its next attempt', failOnce],
  ])('leaves nothing behind when %s', async (_title, prepare) => {
    const before = process
      .getActiveResourcesInfo()
      .filter((resource) => !resource.startsWith('TCP'));
    const shop = await Shop.open(platform);
    await prepare(shop);

    await shop.close();

    await shop.until(() => openedSince(before).length === 0);
    expect(shop.clock.pendingTimers).toBe(0);
  });
});

/** Servers, sockets and timers that keep the process alive and did not do so before. */
function openedSince(before: readonly string[]): string[] {
  const earlier = [...before];
  return process.getActiveResourcesInfo().filter((resource) => {
    const index = earlier.indexOf(resource);
    if (index !== -1) earlier.splice(index, 1);
    return index === -1;
  });
}

async function hang(shop: Shop): Promise<void> {
  await shop.turnProvider('hang');
  sendCharge(shop);
  await shop.until(() => shop.provider.counts.requests === 1);
}

async function failOnce(shop: Shop): Promise<void> {
  await shop.turnProvider('fail');
  sendCharge(shop);
  await shop.untilRetryWaits();
}

/** Its answer never comes. */
function sendCharge(shop: Shop): void {
  shop.send('/charges', { method: 'POST', body: { amount: 42 } }).on('error', () => undefined);
}
