export interface Settings {
  readonly port: number;
  readonly servicePort: number;
  readonly recoveryTimeout: string;
}

/** What can be set from outside: PORT, SERVICE_PORT and RECOVERY_TIMEOUT. */
export function readSettings(env: NodeJS.ProcessEnv): Settings {
  return {
    port: readPort('PORT', env, 3000),
    servicePort: readPort('SERVICE_PORT', env, 3001),
    recoveryTimeout: env.RECOVERY_TIMEOUT ?? '10s',
  };
}

function readPort(name: string, env: NodeJS.ProcessEnv, fallback: number): number {
  const text = env[name] ?? String(fallback);
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 65_535) return port;
  throw new Error(`${name} must be a whole number from 0 (any free port) to 65535, got "${text}"`);
}
