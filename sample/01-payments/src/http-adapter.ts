import type { AbstractHttpAdapter } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';

export type Platform = 'express' | 'fastify';

export function httpAdapterFor(platform: Platform): AbstractHttpAdapter {
  // Express is told the same by NestFactory.create(): shutdown does not wait for hanging requests.
  if (platform === 'fastify') return new FastifyAdapter({ forceCloseConnections: true });
  return new ExpressAdapter();
}
