export interface Settings {
  readonly port: number;
  /** The file with the options. */
  readonly config: string;
}

/** What can be set from outside: PORT and CONFIG. */
export function readSettings(env: NodeJS.ProcessEnv): Settings {
  const { PORT = '3000', CONFIG = 'resilience.json' } = env;
  const port = Number(PORT);
  if (/^\d+$/.test(PORT) && port <= 65_535) return { port, config: CONFIG };
  throw new Error(`PORT must be a whole number from 0 (any free port) to 65535, got "${PORT}"`);
}
