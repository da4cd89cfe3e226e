import { CircuitBreaker, pipeline, timeLimit } from 'nestjs-bulwark/core';
import { FakeClock } from 'nestjs-bulwark/testing';

// Much of the platform rejects with an AbortError of its own, not with the signal's reason.
const work = ({ signal }: { signal: AbortSignal }): Promise<never> =>
  new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () =>
      reject(new DOMException('The operation was aborted', 'AbortError')),
    );
  });

describe('work that answers an abort with an AbortError', () => {
  it('R60: inside a breaker inside a time limit, its time-outs open the circuit', async () => {
    const clock = new FakeClock();
    const runtime = { clock };
    const breaker = new CircuitBreaker('slow', { failureThreshold: 2 }, { runtime });
    const policy = pipeline(timeLimit('1s', { runtime }), breaker);
    for (let call = 0; call < 2; call++) {
      const answer = expect(policy.execute(work)).rejects.toMatchObject({ code: 'TIMEOUT' });
      await clock.advance(1000);
      await answer;
    }
    expect(breaker.state).toBe('open');
    expect(breaker.stats.lastFailure).toMatchObject({ code: 'TIMEOUT' });
  });

  it("R13: a caller's abort still tells nothing", async () => {
    const breaker = new CircuitBreaker('slow', { failureThreshold: 1 });
    const caller = new AbortController();
    const answer = expect(breaker.execute(work, { signal: caller.signal })).rejects.toBe('gone');
    caller.abort('gone');
    await answer;
    expect(breaker.stats).toMatchObject({ failedCalls: 0, ignoredCalls: 1 });
  });
});
