import type { Platform } from '../../sample/01-payments/src/http-adapter.js';
import { Shop } from './shop.js';

const RECOVERY = 10_000;

describe.each<Platform>(['express', 'fastify'])('the payments sample on %s', (platform) => {
  let shop: Shop;

  beforeEach(async () => {
    shop = await Shop.open(platform);
  });
  afterEach(() => shop.close());

  describe('while the provider is healthy', () => {
    it('makes a charge and finds its receipt', async () => {
      const charge = await shop.charge(42);
      expect(charge).toMatchObject({ status: 201, body: { amount: 42 } });

      const receipt = await shop.get(`/receipts/${String(charge.body.id)}`);
      expect(receipt).toMatchObject({ status: 200, body: charge.body });
      expect(await shop.providerCounts()).toMatchObject({ requests: 2, charges: 1 });
    });

    it('is up, with and without terminus', async () => {
      const breakers = { payments: { state: 'closed', consecutiveFailures: 0, failedCalls: 0 } };
      const up = { status: 'up', breakers };

      const health = await shop.get('/health');
      expect(health).toMatchObject({ status: 200, body: { info: { resilience: up } } });
      const ready = await shop.get('/ready');
      expect(ready).toMatchObject({ status: 200, body: { payments: up } });
    });

    it('takes a declined card for an answer: no retry, no counted failure', async () => {
      for (let n = 0; n < 6; n++) {
        expect(await shop.charge(5000)).toMatchObject({
          status: 402,
          body: { message: 'The card was declined' },
        });
      }
      expect(await shop.providerCounts()).toMatchObject({ requests: 6, charges: 0 });
      expect(shop.breaker.state).toBe('closed');
    });
  });

  describe('while the provider fails', () => {
    beforeEach(() => shop.turnProvider('fail'));

    it('tries three times, then answers with the last failure', async () => {
      expect(await shop.charge()).toMatchObject({ status: 502 });
      expect(await shop.providerCounts()).toMatchObject({ requests: 3 });
    });

    it('tries the routes of a controller with an interceptor as often', async () => {
      expect(await shop.get('/receipts/1')).toMatchObject({ status: 502 });
      expect(await shop.providerCounts()).toMatchObject({ requests: 3 });
    });

    it('stops retrying as soon as the fifth failure opens the circuit', async () => {
      await shop.charge();
      const second = await shop.charge();

      expect(second).toMatchObject({ status: 503, headers: { 'retry-after': '10' } });
      expect(await shop.providerCounts()).toMatchObject({ requests: 5 });
      expect(shop.breaker.state).toBe('open');
    });

    it('recovers within one charge when an attempt succeeds', async () => {
      const charge = shop.charge();
      await shop.until(() => shop.provider.counts.requests > 0);
      await shop.turnProvider('ok');

      expect(await charge).toMatchObject({ status: 201 });
      expect(await shop.providerCounts()).toMatchObject({ charges: 1 });
    });
  });

  describe('once the circuit is open', () => {
    beforeEach(() => shop.openCircuit());

    it.each(['/receipts/1', '/exchange-rates'])(
      'answers %s with 503 and Retry-After, and leaves the provider alone',
      async (path) => {
        expect(await shop.get(path)).toMatchObject({
          status: 503,
          headers: { 'retry-after': '10' },
          body: {
            statusCode: 503,
            error: 'Service Unavailable',
            message: 'The service is temporarily unavailable',
          },
        });
        expect(await shop.providerCounts()).toMatchObject({ requests: 5 });
      },
    );

    it('tells with Retry-After how much of the recovery time is left, rounded up', async () => {
      await shop.clock.advance(2500);
      expect((await shop.charge()).headers['retry-after']).toBe('8');
      await shop.clock.advance(7499);
      expect((await shop.charge()).headers['retry-after']).toBe('1');
      expect(await shop.providerCounts()).toMatchObject({ requests: 5 });
    });

    it('is down until the recovery time has run out, then up and degraded', async () => {
      await shop.clock.advance(RECOVERY - 1);
      expect(await shop.get('/health')).toMatchObject({
        status: 503,
        body: {
          status: 'error',
          error: {
            resilience: {
              status: 'down',
              breakers: { payments: { state: 'open', remainingTimeout: 1 } },
            },
          },
        },
      });
      expect(await shop.get('/ready')).toMatchObject({
        status: 503,
        body: { payments: { status: 'down' } },
      });

      await shop.clock.advance(1);
      expect(await shop.get('/health')).toMatchObject({
        status: 200,
        body: { status: 'ok', info: { resilience: { status: 'up', degraded: true } } },
      });
      expect(await shop.get('/ready')).toMatchObject({
        status: 200,
        body: { payments: { status: 'up', degraded: true } },
      });
    });

    it('closes after two probes that succeed', async () => {
      await shop.turnProvider('ok');
      await shop.clock.advance(RECOVERY);

      expect(await shop.charge()).toMatchObject({ status: 201 });
      expect(await shop.get('/circuit')).toMatchObject({ body: [{ state: 'half_open' }] });
      expect(await shop.get('/ready')).toMatchObject({ body: { payments: { degraded: true } } });

      expect(await shop.charge()).toMatchObject({ status: 201 });
      expect(await shop.get('/circuit')).toMatchObject({ body: [{ state: 'closed' }] });
      expect((await shop.get('/ready')).body.payments).not.toHaveProperty('degraded');
      expect(await shop.providerCounts()).toMatchObject({ requests: 7, charges: 2 });
    });

    it('opens again after one probe that fails', async () => {
      await shop.clock.advance(RECOVERY);

      expect(await shop.charge()).toMatchObject({ status: 503, headers: { 'retry-after': '10' } });
      expect(await shop.providerCounts()).toMatchObject({ requests: 6 });
    });
  });

  it('serves the last exchange rates while the circuit is open', async () => {
    const fresh = await shop.get('/exchange-rates');
    expect(fresh).toMatchObject({ status: 200, body: { base: 'EUR', stale: false } });
    await shop.openCircuit();

    const cached = await shop.get('/exchange-rates');
    expect(cached).toMatchObject({ status: 200, body: { ...fresh.body, stale: true } });
    expect(await shop.providerCounts()).toMatchObject({ requests: 6 });
  });

  it('charges once when connections break after the work was done', async () => {
    await shop.turnProvider('reset');
    expect(await shop.charge(42, 'order-1')).toMatchObject({ status: 502 });
    expect(await shop.providerCounts()).toMatchObject({ requests: 3, charges: 1 });

    await shop.turnProvider('ok');
    expect(await shop.charge(42, 'order-1')).toMatchObject({ status: 201, body: { amount: 42 } });
    expect(await shop.providerCounts()).toMatchObject({ requests: 4, charges: 1 });
  });

  it('gives up a hanging request when its client leaves, and holds it against nobody', async () => {
    await shop.turnProvider('hang');
    const client = shop.send('/exchange-rates').on('error', () => undefined);
    await shop.until(() => shop.provider.counts.requests === 1);
    expect(shop.breaker.stats).toMatchObject({ inFlight: 1 });

    client.destroy();
    await shop.until(() => shop.breaker.stats.inFlight === 0);

    expect(shop.breaker.stats).toMatchObject({ ignoredCalls: 1, failedCalls: 0 });
    await shop.until(() => shop.provider.hanging === 0);
  });
});
