import { type INestApplication, Module, type ModuleMetadata, type Type } from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { Test, type TestingModule } from '@nestjs/testing';
import supertest from 'supertest';
import {
  type CircuitBreaker,
  CircuitBreakerRegistry,
  ResilienceConfigError,
  ResilienceModule,
} from 'nestjs-bulwark';
import { type Lab, settled } from '../../support/lab.js';

const running: { close(): Promise<unknown> }[] = [];

/** Ends every application that the test started. */
export async function closeAll(): Promise<void> {
  for (const each of running.splice(0)) await each.close();
}

/** An application without a server, up to `onApplicationBootstrap`. */
export async function start(metadata: ModuleMetadata): Promise<TestingModule> {
  const module = await Test.createTestingModule(metadata).compile();
  const application = await module.init();
  running.push(application);
  return application;
}

/** One provider in an application with one circuit breaker, which two failures open for 10 s. */
export async function startUnder<T>(
  name: string,
  provider: Type<T>,
  { runtime }: Lab,
): Promise<{ instance: T; breaker: CircuitBreaker }> {
  const circuitBreakers = { [name]: { failureThreshold: 2, recoveryTimeout: '10s' } };
  const app = await start({
    imports: [ResilienceModule.forRoot({ circuitBreakers, runtime })],
    providers: [provider],
  });
  return { instance: app.get(provider), breaker: app.get(CircuitBreakerRegistry).get(name) };
}

export const ADAPTERS = ['Express', 'Fastify'] as const;
export type Adapter = (typeof ADAPTERS)[number];

/**
 * An application that answers HTTP.
 *
 * @param prepare what `main.ts` does before the application is initialised
 */
export async function serve(
  metadata: ModuleMetadata,
  adapter: Adapter = 'Express',
  prepare: (application: INestApplication) => unknown = () => undefined,
): Promise<INestApplication> {
  const module = await Test.createTestingModule(metadata).compile();
  // Or to close would be to wait for what a client keeps alive.
  const options = { logger: false, forceCloseConnections: true } as const;
  const application =
    adapter === 'Express'
      ? module.createNestApplication(options)
      : module.createNestApplication(new FastifyAdapter(options), options);
  prepare(application);
  await application.init();
  running.push(application);
  const instance: { ready?: () => Promise<void> } = application.getHttpAdapter().getInstance();
  await instance.ready?.();
  return application;
}

/** Sends requests to an application. */
export function request(application: INestApplication): ReturnType<typeof supertest> {
  return supertest(application.getHttpServer());
}

/** What `work` comes to, while every wait of the lab's clock goes by. */
export async function throughWaits<T>(lab: Lab, work: PromiseLike<T>): Promise<T> {
  const state = { running: true };
  const outcome = settled(work).finally(() => {
    state.running = false;
  });
  while (state.running) {
    await lab.clock.runAll();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const settlement = await outcome;
  if ('value' in settlement) return settlement.value;
  throw settlement.error;
}

/** The issues that stop an application from starting. */
export function startUpIssues(metadata: ModuleMetadata): Promise<readonly string[]> {
  return issuesOf(start(metadata));
}

/** The issues that a start-up fails with. */
export async function issuesOf(starting: Promise<unknown>): Promise<readonly string[]> {
  const outcome = await settled(starting);
  if ('value' in outcome) throw new Error('Expected the start-up to fail');
  if (outcome.error instanceof ResilienceConfigError) return outcome.error.issues;
  throw outcome.error;
}

/** A module class of its own, made of `metadata`. */
export function moduleOf(metadata: ModuleMetadata): Type {
  @Module(metadata)
  class SomeModule {}
  return SomeModule;
}
