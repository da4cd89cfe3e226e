import 'reflect-metadata';
import {
  type CircuitBreaker,
  CircuitBreakerRegistry,
  CircuitProtected,
  ResilienceModule,
  retry,
} from 'nestjs-bulwark';
import { type Observable, concat, firstValueFrom, NEVER, of, throwError } from 'rxjs';
import { Lab, down, play, settled } from '../support/lab.js';
import { closeAll, start } from '../nest/support/applications.js';

let lab: Lab;
beforeEach(() => {
  lab = new Lab();
});
afterEach(closeAll);

const prices = { stream: (): Observable<number> => of(1) };

class Quotes {
  @CircuitProtected('quotes')
  async latest(answer: () => Promise<string>): Promise<string> {
    return answer();
  }

  @CircuitProtected('quotes')
  stream(): Observable<number> {
    return prices.stream();
  }
}

/** A service whose circuit is open and due for a probe. */
async function recovering(
  options: object,
): Promise<{ readonly quotes: Quotes; readonly breaker: CircuitBreaker }> {
  const application = await start({
    imports: [
      ResilienceModule.forRoot({
        circuitBreakers: { quotes: { failureThreshold: 1, ...options } },
        runtime: lab.runtime,
      }),
    ],
    providers: [Quotes],
  });
  const breaker = application.get(CircuitBreakerRegistry).get('quotes');
  await play(breaker, 'fw', lab);
  return { quotes: application.get(Quotes), breaker };
}

const fine = (): Promise<string> => Promise.resolve('fine');
const hang = (): Promise<string> => new Promise(() => undefined);

describe('a probe', () => {
  it('that hangs blocks the recovery for ever', async () => {
    const { quotes, breaker } = await recovering({ halfOpenMaxCalls: 1, successThreshold: 1 });
    void settled(quotes.latest(hang));
    await expect(quotes.latest(fine)).rejects.toMatchObject({ state: 'half_open' });
    lab.clock.jump(30_000);
    expect(await quotes.latest(fine)).toBe('fine');
    expect(breaker.state).toBe('closed');
  });

  it('that its caller cancels closes the circuit, or opens it, or keeps its permit', async () => {
    const { quotes, breaker } = await recovering({ halfOpenMaxCalls: 1, successThreshold: 1 });
    for (let probe = 0; probe < 3; probe++) {
      const caller = new AbortController();
      const running = retry({}, { runtime: lab.runtime }).execute(
        ({ signal }) => quotes.latest(() => untilAborted(signal)),
        { signal: caller.signal },
      );
      caller.abort(new Error('the user went back'));
      await expect(running).rejects.toThrow('the user went back');
      await lab.clock.advance(0);
      expect(breaker.stats).toMatchObject({ inFlight: 0, ignoredCalls: probe + 1 });
      expect(breaker.state).toBe('half_open');
    }
    expect(await quotes.latest(fine)).toBe('fine');
    expect(breaker.state).toBe('closed');
  });

  it('cannot be made often enough where successThreshold exceeds halfOpenMaxCalls', async () => {
    const { quotes, breaker } = await recovering({ halfOpenMaxCalls: 1, successThreshold: 4 });
    for (let probe = 0; probe < 3; probe++) {
      await quotes.latest(fine);
      expect(breaker.state).toBe('half_open');
    }
    await quotes.latest(fine);
    expect(breaker.state).toBe('closed');
  });

  it('that is a stream, of which firstValueFrom takes one item, leaves it half-open', async () => {
    const { quotes, breaker } = await recovering({ halfOpenMaxCalls: 1, successThreshold: 2 });
    prices.stream = () => concat(of(7), NEVER);
    expect(await firstValueFrom(quotes.stream())).toBe(7);
    expect(await firstValueFrom(quotes.stream())).toBe(7);
    expect(breaker.state).toBe('closed');
    expect(breaker.stats.inFlight).toBe(0);
  });

  it('that is a stream left before its first item decides something', async () => {
    const { quotes, breaker } = await recovering({ halfOpenMaxCalls: 1, successThreshold: 1 });
    prices.stream = () => NEVER;
    quotes.stream().subscribe().unsubscribe();
    await lab.clock.advance(0);
    expect(breaker.state).toBe('half_open');
    prices.stream = () => throwError(() => down);
    await expect(firstValueFrom(quotes.stream())).rejects.toBe(down);
    expect(breaker.state).toBe('open');
  });
});

function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error));
  });
}
