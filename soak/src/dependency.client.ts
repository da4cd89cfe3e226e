import { Agent, type IncomingMessage, get } from 'node:http';
import { json } from 'node:stream/consumers';
import { BadGatewayException, HttpException, ServiceUnavailableException } from '@nestjs/common';
import { currentSignal } from 'nestjs-bulwark';

export interface Answer {
  readonly path: string;
}

/** Speaks HTTP with the dependency; it knows nothing of policies but the signal of the call. */
export class DependencyClient {
  /** Bounded, as `fetch` is not: a dependency that hangs must not cost a port for each call. */
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64 });

  constructor(private readonly url: string) {}

  async get(path: string): Promise<Answer> {
    const signal = currentSignal();
    try {
      const response = await this.#response(path, signal);
      const answer = (await json(response)) as Answer;
      if (response.statusCode === 200) return answer;
      throw response.statusCode === 503
        ? new ServiceUnavailableException('The dependency has too much to do')
        : new BadGatewayException('The dependency failed');
    } catch (error) {
      if (error instanceof HttpException || signal?.aborted) throw error;
      throw new BadGatewayException('The dependency cannot be reached', { cause: error });
    }
  }

  #response(path: string, signal: AbortSignal | undefined): Promise<IncomingMessage> {
    return new Promise((resolve, reject) => {
      get(this.url + path, { agent: this.#agent, signal }, resolve).once('error', reject);
    });
  }
}
