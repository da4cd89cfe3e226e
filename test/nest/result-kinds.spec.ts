import 'reflect-metadata';
import type { Type } from '@nestjs/common';
import {
  CircuitBreaker,
  CircuitBreakerError,
  CircuitProtected,
  Retry,
  RetrySync,
  currentAttempt,
  currentSignal,
  remainingTime,
} from 'nestjs-bulwark';
import { Observable, defer, firstValueFrom, lastValueFrom, of, throwError } from 'rxjs';
import { Lab, deferred, down, settled, thrownBy } from '../support/lab.js';
import { closeAll, startUnder } from './support/applications.js';

let lab: Lab;
let breaker: CircuitBreaker;
beforeEach(() => {
  lab = new Lab();
});
afterEach(closeAll);

async function made<T>(type: Type<T>): Promise<T> {
  const { instance, ...rest } = await startUnder('service', type, lab);
  breaker = rest.breaker;
  return instance;
}

describe('R43: promises', () => {
  class Client {
    answer: Promise<string> = Promise.resolve('fine');
    @CircuitProtected('service')
    async native(): Promise<string> {
      return this.answer;
    }
    @CircuitProtected('service')
    declared(): Promise<string> {
      return this.answer;
    }
    @CircuitProtected('service')
    undeclared() {
      return this.answer;
    }
    @CircuitProtected('service')
    thenable(): PromiseLike<string> {
      const { answer } = this;
      return { then: (...settle: never[]) => answer.then(...settle) } as PromiseLike<string>;
    }
  }
  const methods = ['native', 'declared', 'undeclared', 'thenable'] as const;

  it.each(methods)('%s: resolves to the value and rejects with the same error', async (method) => {
    const client = await made(Client);
    const result = client[method]();
    expect(result).toBeInstanceOf(Promise);
    await expect(result).resolves.toBe('fine');
    client.answer = Promise.reject(down);
    await expect(client[method]()).rejects.toBe(down);
    expect(breaker.stats).toMatchObject({ totalCalls: 2, successfulCalls: 1, failedCalls: 1 });
  });

  it.each(methods)('%s: an open circuit rejects', async (method) => {
    const client = await made(Client);
    await client[method]();
    breaker.isolate();
    await expect(client[method]()).rejects.toBeInstanceOf(CircuitBreakerError);
  });

  it('a call is one until it settles', async () => {
    const client = await made(Client);
    const { promise, resolve } = deferred<string>();
    client.answer = promise;
    const running = client.native();
    expect(breaker.stats.inFlight).toBe(1);
    resolve('late');
    await expect(running).resolves.toBe('late');
    expect(breaker.stats.inFlight).toBe(0);
  });
});

describe('R43: plain values', () => {
  class Rates {
    fails = false;
    @CircuitProtected('service')
    double(value: number): number {
      if (this.fails) throw down;
      return value * 2;
    }
    @CircuitProtected('service')
    nothing(): void {
      if (this.fails) throw down;
    }
    @RetrySync({ maxAttempts: 2 })
    @CircuitProtected('service')
    retried(value: number): number {
      if (this.fails) throw down;
      return value * 2;
    }
  }

  it('stay plain, and errors are thrown', async () => {
    const rates = await made(Rates);
    expect(rates.double(4)).toBe(8);
    rates.nothing();
    expect(rates.retried(3)).toBe(6);
    rates.fails = true;
    expect(thrownBy(() => rates.double(4))).toBe(down);
    expect(breaker.stats).toMatchObject({ successfulCalls: 3, failedCalls: 1, inFlight: 0 });
  });

  it('an open circuit throws once a value has been seen', async () => {
    const rates = await made(Rates);
    rates.double(4);
    breaker.isolate();
    expect(thrownBy(() => rates.double(4))).toBeInstanceOf(CircuitBreakerError);
  });

  it('an open circuit throws before any call where the type tells', async () => {
    const rates = await made(Rates);
    breaker.isolate();
    expect(thrownBy(() => rates.double(4))).toBeInstanceOf(CircuitBreakerError);
  });

  it('an open circuit throws inside a synchronous retry, before any call', async () => {
    const rates = await made(Rates);
    breaker.isolate();
    expect(thrownBy(() => rates.retried(4))).toBeInstanceOf(CircuitBreakerError);
  });
});

describe('R43: methods that return nothing', () => {
  class Audit {
    fails = false;
    @CircuitProtected('service')
    declared(): void {
      if (this.fails) throw down;
    }
    @CircuitProtected('service')
    inferred() {
      if (this.fails) throw down;
    }
    @CircuitProtected('service')
    nothing(): null {
      if (this.fails) throw down;
      return null;
    }
    @CircuitProtected('service')
    perhaps(): string | null {
      if (this.fails) throw down;
      return null;
    }
  }
  @CircuitProtected('service')
  class CoveredAudit {
    fails = false;
    covered(): void {
      if (this.fails) throw down;
    }
  }
  const methods = ['declared', 'inferred', 'nothing', 'perhaps'] as const;

  it.each(methods)('%s: an open circuit throws after failures', async (method) => {
    const audit = await made(Audit);
    audit.fails = true;
    for (let call = 0; call < 2; call++) expect(thrownBy(() => audit[method]())).toBe(down);
    expect(thrownBy(() => audit[method]())).toBeInstanceOf(CircuitBreakerError);
  });

  it.each(methods)('%s: an open circuit throws after a success', async (method) => {
    const audit = await made(Audit);
    expect(audit[method]() ?? 'nothing').toBe('nothing');
    breaker.isolate();
    expect(thrownBy(() => audit[method]())).toBeInstanceOf(CircuitBreakerError);
  });

  it.each(['declared', 'inferred', 'nothing'] as const)(
    '%s: an open circuit throws before any call',
    async (method) => {
      const audit = await made(Audit);
      breaker.isolate();
      expect(thrownBy(() => audit[method]())).toBeInstanceOf(CircuitBreakerError);
    },
  );

  it.each([true, false])(
    'covered by its class: an open circuit throws (failed: %s)',
    async (fails) => {
      const audit = await made(CoveredAudit);
      audit.fails = fails;
      if (fails) expect(thrownBy(() => audit.covered())).toBe(down);
      else audit.covered();
      breaker.isolate();
      expect(thrownBy(() => audit.covered())).toBeInstanceOf(CircuitBreakerError);
    },
  );

  it('of two records on one method the inner and the outer circuit throw', async () => {
    class Twice {
      @CircuitProtected('service')
      @CircuitProtected({ failureThreshold: 1 })
      record(): void {
        throw down;
      }
    }
    const twice = await made(Twice);
    expect(thrownBy(() => twice.record())).toBe(down);
    expect(thrownBy(() => twice.record())).toBeInstanceOf(CircuitBreakerError);
    breaker.isolate();
    expect(thrownBy(() => twice.record())).toBeInstanceOf(CircuitBreakerError);
  });
});

describe('R43: what a gate answers before any call has shown the kind', () => {
  class Client {
    @CircuitProtected('service')
    async own(): Promise<string> {
      return 'fine';
    }
    @CircuitProtected('service')
    declaredPromise(): Promise<string> {
      return Promise.resolve('fine');
    }
    @CircuitProtected('service')
    declaredObservable(): Observable<string> {
      return of('fine');
    }
    @CircuitProtected('service')
    async *ownGenerator(): AsyncGenerator<string> {
      yield 'fine';
    }
    @CircuitProtected('service')
    unknown(): unknown {
      return 'fine';
    }
    @CircuitProtected('service')
    @Retry({ maxAttempts: 1 })
    undeclaredUnderRetry() {
      return Promise.resolve('fine');
    }
    @Retry({ maxAttempts: 1 })
    @CircuitProtected('service')
    @Retry({ maxAttempts: 1 })
    inner(): Observable<string> {
      return of('fine');
    }
  }
  const rejects = async (client: Client, method: keyof Client): Promise<unknown> => {
    const result: unknown = client[method]();
    if (result instanceof Observable) return lastValueFrom(result);
    if (result instanceof Promise) return result;
    return (result as AsyncIterator<string>).next();
  };

  it.each([
    ['own', Promise],
    ['declaredPromise', Promise],
    ['declaredObservable', Observable],
    ['unknown', Promise],
    ['undeclaredUnderRetry', Promise],
    ['inner', Observable],
  ] as const)('%s', async (method, kind) => {
    const client = await made(Client);
    breaker.isolate();
    const result: unknown = client[method]();
    expect(result).toBeInstanceOf(kind);
    if (result instanceof Promise) await expect(result).rejects.toBeInstanceOf(CircuitBreakerError);
    else await expect(rejects(client, method)).rejects.toBeInstanceOf(CircuitBreakerError);
  });

  it('an async generator', async () => {
    const client = await made(Client);
    breaker.isolate();
    const result = client.ownGenerator();
    expect(result).toHaveProperty('next');
    await expect(result.next()).rejects.toBeInstanceOf(CircuitBreakerError);
  });

  it('a wrapper of ours inside a function of others', async () => {
    const inside = new CircuitBreaker('inside').protect(async () => 'fine');
    const type = (() => {
      class Wrapping {
        readonly id = 1;
      }
      Object.defineProperty(Wrapping.prototype, 'call', { value: inside, configurable: true });
      const descriptor = Object.getOwnPropertyDescriptor(Wrapping.prototype, 'call');
      CircuitProtected('service')(Wrapping.prototype, 'call', descriptor as never);
      Object.defineProperty(Wrapping.prototype, 'call', descriptor as PropertyDescriptor);
      return Wrapping as unknown as Type<{ call(): Promise<string> }>;
    })();
    const wrapping = await made(type);
    breaker.isolate();
    await expect(wrapping.call()).rejects.toThrow('"service" is isolated');
  });
});

describe('R45: inside a protected method', () => {
  interface Seen {
    attempt: number | undefined;
    signal: boolean;
    time: number | undefined;
  }
  const look = (): Seen => ({
    attempt: currentAttempt(),
    signal: currentSignal() instanceof AbortSignal,
    time: remainingTime(),
  });
  const twice = [1, 2].map((attempt) => ({ attempt, signal: true, time: undefined }));
  const nowhere = { attempt: undefined, signal: false, time: undefined };

  class Client {
    seen: Seen[] = [];
    #fails(): boolean {
      this.seen.push(look());
      return this.seen.length % 2 === 1;
    }
    @Retry()
    @CircuitProtected('service')
    async promise(): Promise<string> {
      await Promise.resolve();
      if (this.#fails()) throw down;
      return 'fine';
    }
    @RetrySync()
    plain(): string {
      if (this.#fails()) throw down;
      return 'fine';
    }
    @Retry()
    @CircuitProtected('service')
    observable(): Observable<string> {
      return defer(() => (this.#fails() ? throwError(() => down) : of('fine')));
    }
    @Retry()
    @CircuitProtected('service')
    async *generator(): AsyncGenerator<string> {
      if (this.#fails()) throw down;
      yield 'fine';
      this.seen.push(look());
    }
  }

  it.each([
    ['a promise', (client: Client) => client.promise()],
    ['a plain value', (client: Client) => client.plain()],
    ['an Observable', (client: Client) => lastValueFrom(client.observable())],
  ])('%s: attempt and signal are known, without a deadline no time', async (_kind, call) => {
    const client = await made(Client);
    expect(look()).toEqual(nowhere);
    expect(await lab.resultOf(Promise.resolve(call(client)))).toBe('fine');
    expect(client.seen).toEqual(twice);
    expect(look()).toEqual(nowhere);
  });

  it('an async generator: up to the first item, and after it', async () => {
    const client = await made(Client);
    const items: string[] = [];
    const reading = (async () => {
      for await (const item of client.generator()) items.push(item);
    })();
    await lab.resultOf(reading);
    expect(items).toEqual(['fine']);
    expect(client.seen).toEqual([...twice, twice[1]]);
  });

  it('calls at the same time do not see each other', async () => {
    class Counting {
      readonly seen: string[] = [];
      @Retry({ maxAttempts: 3 })
      async call(name: string, failures: number): Promise<void> {
        await Promise.resolve();
        const attempt = currentAttempt() ?? 0;
        this.seen.push(`${name}${String(attempt)}`);
        if (attempt <= failures) throw down;
      }
    }
    const counting = await made(Counting);
    await lab.outcomeOf(
      Promise.all([counting.call('a', 2), counting.call('b', 0), counting.call('c', 1)]),
    );
    expect(counting.seen.toSorted()).toEqual(['a1', 'a2', 'a3', 'b1', 'c1', 'c2']);
  });

  it('the signal is not aborted after a success', async () => {
    const signals: (AbortSignal | undefined)[] = [];
    class Signals {
      @CircuitProtected('service')
      async promise(): Promise<string> {
        signals.push(currentSignal());
        return 'fine';
      }
      @CircuitProtected('service')
      observable(): Observable<string> {
        return defer(() => {
          signals.push(currentSignal());
          return of('fine');
        });
      }
    }
    const client = await made(Signals);
    await client.promise();
    await lastValueFrom(client.observable());
    expect(signals.map((signal) => signal?.aborted)).toEqual([false, false]);
  });

  it('the signal of an Observable is aborted when its subscriber leaves', async () => {
    let signal: AbortSignal | undefined;
    class Signals {
      @CircuitProtected('service')
      observable(): Observable<string> {
        return new Observable(() => {
          signal = currentSignal();
        });
      }
    }
    const client = await made(Signals);
    const subscription = client.observable().subscribe();
    expect(signal?.aborted).toBe(false);
    subscription.unsubscribe();
    expect(signal?.aborted).toBe(true);
  });
});

describe('R43: whatever the kind, calls in a row', () => {
  it('count once each', async () => {
    class Client {
      @CircuitProtected('service')
      observable(): Observable<number> {
        return of(1, 2);
      }
      @CircuitProtected('service')
      async *generator(): AsyncGenerator<number> {
        yield* [1, 2];
      }
      @CircuitProtected('service')
      async promise(): Promise<number> {
        return 1;
      }
      @CircuitProtected('service')
      plain(): number {
        return 1;
      }
    }
    const client = await made(Client);
    for (let call = 0; call < 3; call++) {
      await lastValueFrom(client.observable());
      for await (const item of client.generator()) expect(item).toBeGreaterThan(0);
      await client.promise();
      client.plain();
    }
    expect(breaker.stats).toMatchObject({ totalCalls: 12, successfulCalls: 12, inFlight: 0 });
    const never = settled(firstValueFrom(client.observable()));
    expect(await never).toEqual({ value: 1 });
  });
});
