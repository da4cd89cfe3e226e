import 'reflect-metadata';
import type { AddressInfo, Server } from 'node:net';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
import { ConfigFile } from './live-config/config-file.js';
import { type Settings, readSettings } from './settings.js';
import { thingsToTry } from './things-to-try.js';

try {
  await start(readSettings(process.env));
} catch (error) {
  console.error(explain(error));
  process.exit(1);
}

async function start({ port, config }: Settings): Promise<void> {
  const app = await NestFactory.create(AppModule.register({ config }), {
    logger: ['warn', 'error'],
    abortOnError: false,
    forceCloseConnections: true,
  });
  await app.listen(port);
  const server = app.getHttpServer() as Server;
  const url = `http://localhost:${(server.address() as AddressInfo).port}`;
  console.log(thingsToTry(url, app.get(ConfigFile, { strict: false }).path));

  let stopped: Promise<unknown> | undefined;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    // Nothing is left to run after that, so the process ends by itself.
    process.on(signal, () => (stopped ??= app.close()));
  }
}

function explain(error: unknown): string {
  const { code, port, message } = error as NodeJS.ErrnoException & { port?: number };
  if (code !== 'EADDRINUSE') return `The sample cannot start: ${message}`;
  return [
    `Port ${port} is in use. Stop what listens there, or choose another port, for example:`,
    '  PORT=3100 npm start -- 03-live-config',
  ].join('\n');
}
