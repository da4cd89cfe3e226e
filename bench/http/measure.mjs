import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import autocannon from 'autocannon';
import { median } from '../statistics.mjs';

const ROUTES = ['plain', 'nest', 'interceptor', 'decorated', 'both'];

/** Loads each route in turns; the server has a process of its own. */
export async function measureHttp(quick) {
  const server = fork(fileURLToPath(new URL('server.mjs', import.meta.url)));
  try {
    const [{ url }] = await Promise.race([once(server, 'message'), failure(server)]);
    const seen = Object.fromEntries(ROUTES.map((route) => [route, []]));
    for (const route of ROUTES) await load(`${url}/${route}`, 1);
    for (let round = 0; round < (quick ? 1 : 5); round++) {
      for (const route of ROUTES) seen[route].push(await load(`${url}/${route}`, quick ? 1 : 3));
    }
    return ROUTES.map((route) => ({ route: `GET /${route}`, ...summary(seen[route], seen.plain) }));
  } finally {
    if (server.connected) server.disconnect();
  }
}

async function failure(server) {
  const [code] = await once(server, 'exit');
  throw new Error(`the server ended with code ${code} before it listened`);
}

async function load(url, duration) {
  const { requests, latency, non2xx, errors } = await autocannon({
    url,
    duration,
    connections: 50,
  });
  if (non2xx + errors > 0) throw new Error(`${url}: ${non2xx} bad answers, ${errors} errors`);
  return { requests: requests.total / duration, p99: latency.p99 };
}

function summary(rounds, plain) {
  return {
    requests: median(rounds.map((each) => each.requests)),
    share: median(rounds.map((each, at) => each.requests / plain[at].requests)),
    p99: median(rounds.map((each) => each.p99)),
  };
}
