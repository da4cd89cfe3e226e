import type { AddressInfo, Server } from 'node:net';
import type { INestMicroservice } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { type MicroserviceOptions, Transport } from '@nestjs/microservices';
import { PriceServiceModule } from './price-service.module.js';

export interface PriceService {
  readonly app: INestMicroservice;
  readonly port: number;
}

/** @param port 0 for any free one */
export async function startPriceService(port: number): Promise<PriceService> {
  const app = await NestFactory.createMicroservice<MicroserviceOptions>(PriceServiceModule, {
    transport: Transport.TCP,
    options: { host: '127.0.0.1', port },
    logger: ['warn', 'error'],
    abortOnError: false,
  });
  await app.listen();
  const address = app.unwrap<Server>().address() as AddressInfo;
  return { app, port: address.port };
}
