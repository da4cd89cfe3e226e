import 'reflect-metadata';
import type { AddressInfo, Server } from 'node:net';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
import { httpAdapterFor } from './http-adapter.js';
import { PaymentProvider } from './payment-provider/payment-provider.js';
import { type Settings, readSettings } from './settings.js';
import { thingsToTry } from './things-to-try.js';

try {
  await start(readSettings(process.env));
} catch (error) {
  console.error(explain(error));
  process.exit(1);
}

async function start({ port, providerPort, platform, recoveryTimeout }: Settings): Promise<void> {
  const provider = await new PaymentProvider().listen(providerPort);
  const app = await NestFactory.create(
    AppModule.register({ providerUrl: provider.url, recoveryTimeout }),
    httpAdapterFor(platform),
    { logger: ['warn', 'error'], abortOnError: false, forceCloseConnections: true },
  );
  await app.listen(port);
  const server = app.getHttpServer() as Server;
  const shopUrl = `http://localhost:${(server.address() as AddressInfo).port}`;
  console.log(thingsToTry(shopUrl, provider.url, recoveryTimeout));

  let stopped: Promise<unknown> | undefined;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    // Nothing is left to run after that, so the process ends by itself.
    process.on(signal, () => (stopped ??= Promise.all([app.close(), provider.close()])));
  }
}

function explain(error: unknown): string {
  const { code, port, message } = error as NodeJS.ErrnoException & { port?: number };
  if (code !== 'EADDRINUSE') return `The sample cannot start: ${message}`;
  return [
    `Port ${port} is in use. Stop what listens there, or choose other ports, for example:`,
    '  PORT=3100 PROVIDER_PORT=3101 npm start',
  ].join('\n');
}
