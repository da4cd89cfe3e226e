/**
 * Guards, pipes and interceptors may answer on the spot one time and with an Observable another:
 * `boolean | Promise<boolean> | Observable<boolean>`. A policy must not make an error of that.
 */
import 'reflect-metadata';
import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  Injectable,
  UseGuards,
} from '@nestjs/common';
import { Bulkhead, CircuitProtected, ResilienceModule, Retry, TimeLimit } from 'nestjs-bulwark';
import { type Observable, firstValueFrom, of, toArray } from 'rxjs';
import { closeAll, request, serve } from '../nest/support/applications.js';

afterEach(closeAll);

const decorators: [string, ClassDecorator][] = [
  ['no policy', () => undefined],
  ['a circuit breaker', CircuitProtected()],
  ['a bulkhead with a queue', Bulkhead({ maxQueue: 1 })],
  ['a time limit', TimeLimit('1s')],
  ['a retry', Retry()],
];

describe.each(decorators)('a guard under %s', (_name, decorate) => {
  it.each([
    ['Observables first', ['/open', '/known', '/promised', '/closed']],
    ['values first', ['/known', '/open', '/promised', '/closed']],
    ['promises first', ['/promised', '/open', '/known', '/closed']],
  ])('may answer with values, promises and Observables, %s', async (_order, paths) => {
    @Injectable()
    @decorate
    class Access implements CanActivate {
      canActivate(context: ExecutionContext): boolean | Promise<boolean> | Observable<boolean> {
        const { url } = context.switchToHttp().getRequest<{ url: string }>();
        if (url === '/known') return true;
        return url === '/promised' ? Promise.resolve(true) : of(url === '/open');
      }
    }
    @Controller()
    @UseGuards(Access)
    class Pages {
      @Get([...paths])
      page(): string {
        return 'page';
      }
    }
    const metadata = { imports: [ResilienceModule.forRoot()], controllers: [Pages] };
    const app = await serve(metadata, 'Express');
    const statuses: number[] = [];
    for (const path of paths) statuses.push((await request(app).get(path)).status);
    expect(statuses).toEqual([200, 200, 200, 403]);
  });
});

it('a list is one item, not as many as it has', async () => {
  class Search {
    private calls = 0;

    @CircuitProtected()
    find(): Observable<string[]> | string[] {
      return ++this.calls === 1 ? of(['one', 'two']) : ['one', 'two'];
    }
  }
  const search = new Search();
  for (let call = 0; call < 2; call++) {
    const found = search.find() as Observable<string[]>;
    expect(await firstValueFrom(found.pipe(toArray()))).toEqual([['one', 'two']]);
  }
});
