import 'reflect-metadata';
import type { AddressInfo, Server } from 'node:net';
import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module.js';
import { startPriceService } from './price-service/start.js';
import { type Settings, readSettings } from './settings.js';
import { thingsToTry } from './things-to-try.js';

try {
  await start(readSettings(process.env));
} catch (error) {
  console.error(explain(error));
  process.exit(1);
}

async function start({ port, servicePort, recoveryTimeout }: Settings): Promise<void> {
  const service = await startPriceService(servicePort);
  const gateway = await NestFactory.create(
    AppModule.register({ servicePort: service.port, recoveryTimeout }),
    { logger: ['warn', 'error'], abortOnError: false, forceCloseConnections: true },
  );
  await gateway.listen(port);
  const server = gateway.getHttpServer() as Server;
  const url = `http://localhost:${(server.address() as AddressInfo).port}`;
  console.log(thingsToTry(url, service.port, recoveryTimeout));

  let stopped: Promise<unknown> | undefined;
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    // Nothing is left to run after that, so the process ends by itself.
    process.on(signal, () => (stopped ??= gateway.close().then(() => service.app.close())));
  }
}

function explain(error: unknown): string {
  const { code, port, message } = error as NodeJS.ErrnoException & { port?: number };
  if (code !== 'EADDRINUSE') return `The sample cannot start: ${message}`;
  return [
    `Port ${port} is in use. Stop what listens there, or choose other ports, for example:`,
    '  PORT=3100 SERVICE_PORT=3101 npm start -- 02-microservice',
  ].join('\n');
}
