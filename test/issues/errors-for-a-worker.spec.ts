import { CircuitBreaker, CircuitProtected, Retry } from 'nestjs-bulwark';
import { down } from '../support/lab.js';

/** Made as BullMQ makes its own: an error whose class tells the worker what to do with the job. */
class ErrorForTheWorker extends Error {
  constructor(message: string) {
    super(message);
    this.name = this.constructor.name;
    Object.setPrototypeOf(this, new.target.prototype);
  }
}
class UnrecoverableError extends ErrorForTheWorker {}
class DelayedError extends ErrorForTheWorker {}
class WaitingChildrenError extends ErrorForTheWorker {}
class RateLimitError extends ErrorForTheWorker {}

const FOR_THE_WORKER = [UnrecoverableError, DelayedError, WaitingChildrenError, RateLimitError];
const breaker = new CircuitBreaker('mail', { ignoreExceptions: FOR_THE_WORKER });
const attempts: unknown[] = [];

class MailProcessor {
  @Retry({ abortOn: FOR_THE_WORKER, baseDelay: 0 })
  @CircuitProtected(breaker)
  async process(error: Error): Promise<void> {
    attempts.push(error);
    throw error;
  }
}

describe('an error for the worker that runs the method', () => {
  beforeEach(() => void (attempts.length = 0));

  it.each(FOR_THE_WORKER.map((type) => [type.name, type] as const))(
    'comes out unchanged, after one attempt: %s',
    async (_name, type) => {
      const error = new type('bullmq:moved');
      await expect(new MailProcessor().process(error)).rejects.toBe(error);
      expect(attempts).toEqual([error]);
      expect(breaker.stats.failedCalls).toBe(0);
    },
  );

  it('is none where it is any other', async () => {
    await expect(new MailProcessor().process(down)).rejects.toMatchObject({ attempts: 3 });
    expect(attempts).toHaveLength(3);
  });
});
