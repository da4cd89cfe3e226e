import {
  type Policy,
  adaptiveLimit,
  bulkhead,
  clientThrottle,
  hedge,
  rateLimit,
} from 'nestjs-bulwark';

/** Made by hand, so that their figures can be read; the decorators share them. */
export const policies = {
  reports: bulkhead({ name: 'reports', maxConcurrent: 2, maxQueue: 2, queueTimeout: '60ms' }),
  downloads: bulkhead({ name: 'downloads', maxConcurrent: 2 }),
  quotes: rateLimit({ name: 'quotes', limit: 15, interval: '1s', burst: 3, maxWait: '80ms' }),
  alerts: rateLimit({ name: 'alerts', limit: 15, interval: '1s', burst: 3 }),
  search: hedge({ delay: '15ms', maxHedges: 2 }, { name: 'search' }),
  stock: adaptiveLimit({ name: 'stock', initialLimit: 2, maxLimit: 4, window: '250ms' }),
  prices: clientThrottle({ name: 'prices', window: '2s', minimumCalls: 5 }),
} satisfies Record<string, Policy>;

/** What each is to have done in a run: else the run shows nothing of it. */
export const OUTCOMES: Readonly<Record<keyof typeof policies, readonly string[]>> = {
  reports: ['accepted', 'rejected'],
  downloads: ['accepted', 'rejected'],
  quotes: ['permitted', 'waited', 'rejected'],
  alerts: ['permitted', 'rejected'],
  search: ['original', 'hedge', 'none'],
  stock: ['accepted', 'rejected', 'dropped'],
  prices: ['accepted', 'throttled', 'rejected'],
};

/** Events of the policies that the module makes. */
export const EVENTS = [
  'breaker.opened',
  'breaker.closed',
  'breaker.rejected',
  'retry.scheduled',
  'retry.recovered',
  'fallback.served',
  'hedge.started',
  'hedge.won',
] as const;
