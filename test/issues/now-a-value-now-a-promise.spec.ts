/**
 * `T | Promise<T>` is the type of pipes, and `boolean | Promise<boolean> | Observable<boolean>` that of
 * guards, as Nest writes them: neither is synchronous. Checked by the compiler (`tsc --noEmit`).
 */
import 'reflect-metadata';
import { Fallback, Hedge, Resilient, Retry, RetrySync, TimeLimit } from 'nestjs-bulwark';
import { resetDefaultRegistry } from 'nestjs-bulwark/testing';
import { type Observable, of } from 'rxjs';

class Allowed {
  @Retry() pipe(value: string): number | Promise<number> {
    return value === '' ? 0 : Promise.resolve(Number(value));
  }
  @TimeLimit('1s') guard(): boolean | Promise<boolean> | Observable<boolean> {
    return true;
  }
  @Fallback(() => null) cached(known: boolean): Promise<string | null> | null {
    return known ? null : Promise.reject(new Error('down'));
  }
  @Hedge({ delay: '1s' }) thenable(): number | PromiseLike<number> | Promise<number> {
    return 1;
  }
  @RetrySync() never(): never {
    throw new Error('down');
  }
}

/** Each line below an expectation must not compile. */
class Refused {
  // @ts-expect-error a promise is an error of @RetrySync
  @RetrySync() sometimes(): number | Promise<number> {
    return 1;
  }
  // @ts-expect-error who calls it counts on a user, where there is a promise
  @Retry() find(): Promise<object> | undefined {
    return undefined;
  }
  // @ts-expect-error it gives no promise, and would give one
  @Resilient('api') stream(): boolean | Observable<boolean> {
    return of(true);
  }
  // @ts-expect-error nobody knows what it gives
  @Retry() unknown(): unknown {
    return 1;
  }
  // @ts-expect-error it may be a promise for all the compiler knows, and is none
  @Retry() object(): object {
    return {};
  }
}

afterEach(() => resetDefaultRegistry());

it('what may answer later gives a promise', async () => {
  const allowed = new Allowed();
  expect(await Promise.all([allowed.pipe(''), allowed.pipe('7')])).toEqual([0, 7]);
  await expect(allowed.guard()).resolves.toBe(true);
  await expect(allowed.cached(true)).resolves.toBeNull();
  await expect(allowed.cached(false)).resolves.toBeNull();
  await expect(allowed.thenable()).resolves.toBe(1);
  expect(() => allowed.never()).toThrow('Gave up');
  expect(Refused.prototype.find).toBeInstanceOf(Function);
});
