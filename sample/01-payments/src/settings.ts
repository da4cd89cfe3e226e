import type { Platform } from './http-adapter.js';

export interface Settings {
  readonly port: number;
  readonly providerPort: number;
  readonly platform: Platform;
  readonly recoveryTimeout: string;
}

/** What can be set from outside: PORT, PROVIDER_PORT, PLATFORM and RECOVERY_TIMEOUT. */
export function readSettings(env: NodeJS.ProcessEnv): Settings {
  const { PLATFORM: platform = 'express', RECOVERY_TIMEOUT: recoveryTimeout = '10s' } = env;
  if (platform !== 'express' && platform !== 'fastify') {
    throw new Error(`PLATFORM must be "express" or "fastify", got "${platform}"`);
  }
  return {
    port: readPort('PORT', env, 3000),
    providerPort: readPort('PROVIDER_PORT', env, 3001),
    platform,
    recoveryTimeout,
  };
}

function readPort(name: string, env: NodeJS.ProcessEnv, fallback: number): number {
  const text = env[name] ?? String(fallback);
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new Error(`${name} must be a whole number from 0 (any free port) to 65535, got "${text}"`);
}
