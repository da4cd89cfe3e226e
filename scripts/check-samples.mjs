/**
 * Uses the samples as a reader does: starts one like `npm start`, sends every request that it prints,
 * in order, and stops it with a signal.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as wait } from 'node:timers/promises';
import { ensureBuilt, ensureInstalled, ensureSampleBuilt, root } from './steps.mjs';

const SAMPLE = '01-payments';
/** Long enough for the lines that want an open circuit, on a slow machine. */
const RECOVERY = 2000;
/** The printed requests, with status and a part of the answer. */
const expected = [
  ['POST /charges', 201, '"amount":42'],
  ['GET /exchange-rates', 200, '"stale":false'],
  ['POST /mode/fail', 200],
  ['POST /charges', 502],
  ['POST /charges', 503, 'temporarily unavailable'],
  ['POST /charges', 503, 'temporarily unavailable'],
  ['GET /requests', 200, '"requests":7,"charges":1'],
  ['GET /exchange-rates', 200, '"stale":true'],
  ['GET /circuit', 200, '"state":"open"'],
  ['GET /health', 503, '"status":"down"'],
  ['GET /ready', 503, '"status":"down"'],
  ['POST /mode/ok', 200],
  ['POST /charges', 201, '"amount":42'],
  ['POST /charges', 201, '"amount":42'],
  ['GET /circuit', 200, '"state":"closed"'],
];

await ensureInstalled();
await ensureBuilt();
await ensureSampleBuilt(SAMPLE);
let failures = 0;
for (const platform of ['express', 'fastify']) await checkSample(platform);
console.log(failures === 0 ? 'Every answer was as expected' : `${failures} FAILED`);
process.exitCode = failures === 0 ? 0 : 1;

async function checkSample(platform) {
  console.log(`${SAMPLE} on ${platform}`);
  const settings = { PORT: '0', PROVIDER_PORT: '0', RECOVERY_TIMEOUT: `${RECOVERY}ms` };
  const child = spawn(process.execPath, [join(root, 'scripts/start.mjs'), SAMPLE], {
    env: { ...process.env, ...settings, PLATFORM: platform },
    stdio: ['ignore', 'pipe', 'inherit'],
    timeout: 60_000,
  });
  const exit = once(child, 'exit');
  const lines = await linesUntil('Ctrl+C', child.stdout);
  const requests = lines.filter((line) => line.startsWith('  curl ')).map(readCurl);
  report('requests printed', requests.length === expected.length, requests.length);
  for (const [index, request] of requests.entries()) {
    await checkAnswer(request, expected[index] ?? []);
    if (request.url.endsWith('/mode/ok')) await wait(RECOVERY); // as the reader is told
  }
  child.kill('SIGTERM');
  const [code, signal] = await exit;
  // Windows has no signals: the process is ended at once.
  if (process.platform !== 'win32') report('exit code after SIGTERM', code === 0, code ?? signal);
}

async function checkAnswer({ url, ...init }, [title, status, text = '']) {
  const response = await fetch(url, init);
  const body = (await response.text()).trim();
  const retryAfter = response.headers.get('retry-after');
  const passed =
    title === `${init.method} ${new URL(url).pathname}` &&
    response.status === status &&
    body.includes(text) &&
    // A call that the circuit turned away says when to come back.
    (retryAfter !== null) === text.includes('temporarily');
  report(`${init.method} ${url}`, passed, `${response.status} ${body}`);
}

function report(what, passed, outcome) {
  if (!passed) failures++;
  console.log(`  ${passed ? 'ok    ' : 'FAILED'}  ${what}: ${outcome}`);
}

/** What curl would send for `curl [-i] [-X METHOD] [-d BODY] URL`. */
function readCurl(line) {
  const words = line.trim().split(' ');
  const option = (name) => (words.includes(name) ? words[words.indexOf(name) + 1] : undefined);
  const body = option('-d');
  const type = body && { 'content-type': 'application/x-www-form-urlencoded' };
  const method = option('-X') ?? (body ? 'POST' : 'GET');
  return { url: words.at(-1), method, body, headers: type };
}

async function linesUntil(text, stream) {
  const lines = [];
  for await (const line of createInterface({ input: stream })) {
    lines.push(line);
    if (line.includes(text)) break;
  }
  stream.resume();
  return lines;
}
