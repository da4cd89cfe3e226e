/** Options of `forRootAsync` that come from a decorated class: its registry is made of what it gives. */
import 'reflect-metadata';
import { jest } from '@jest/globals';
import {
  type INestApplicationContext,
  Inject,
  Injectable,
  Scope,
  type Type,
  forwardRef,
} from '@nestjs/common';
import { ModuleRef, REQUEST } from '@nestjs/core';
import {
  CircuitBreakerRegistry,
  CircuitProtected,
  Fallback,
  ResilienceModule,
  type ResilienceModuleAsyncOptions,
  type ResilienceModuleOptions,
  type ResilienceOptionsFactory,
  Retry,
} from 'nestjs-bulwark';
import { resetDefaultRegistry } from 'nestjs-bulwark/testing';
import { down, settled } from '../support/lab.js';
import { closeAll, issuesOf, moduleOf, start } from '../nest/support/applications.js';

afterEach(closeAll);
afterEach(resetDefaultRegistry);

const TURNS = 200;

/** What `work` comes to; where nothing can settle it any more, Node would end the process with code 0. */
async function inTime<T>(work: Promise<T>): Promise<T> {
  const outcome = { done: false };
  const done = settled(work).finally(() => (outcome.done = true));
  for (let turn = 0; !outcome.done; turn++) {
    if (turn === TURNS) throw new Error('It never settles');
    await new Promise((resolve) => setImmediate(resolve));
  }
  await done;
  return work;
}

const options: ResilienceModuleOptions = { circuitBreakers: { payments: { failureThreshold: 7 } } };

/** Fails to load, which its fallback makes up for. */
@Injectable()
class RemoteConfig {
  @Fallback(() => options)
  async load(): Promise<ResilienceModuleOptions> {
    throw down;
  }
  @CircuitProtected({ failureThreshold: 2 })
  async reload(): Promise<ResilienceModuleOptions> {
    return options;
  }
}
@Injectable()
class Vault {
  constructor(readonly config: RemoteConfig) {}
}
@Injectable()
class LaterVault {
  @Inject(forwardRef(() => RemoteConfig)) readonly config!: RemoteConfig;
}
@Injectable()
class FrozenConfig extends RemoteConfig {
  constructor() {
    super();
    Object.freeze(this);
  }
}
@Injectable()
class Settings implements ResilienceOptionsFactory {
  constructor(private readonly config: RemoteConfig) {}
  createResilienceOptions(): Promise<ResilienceModuleOptions> {
    return this.config.load();
  }
}
@Injectable()
class DecoratedSettings implements ResilienceOptionsFactory {
  @Retry()
  async createResilienceOptions(): Promise<ResilienceModuleOptions> {
    return options;
  }
  @CircuitProtected({ failureThreshold: 2 })
  async reload(): Promise<ResilienceModuleOptions> {
    return options;
  }
}

const ConfigModule = moduleOf({
  providers: [
    RemoteConfig,
    FrozenConfig,
    Vault,
    LaterVault,
    DecoratedSettings,
    { provide: 'alias', useExisting: RemoteConfig },
    { provide: 'made', inject: [Vault], useFactory: ({ config }: Vault) => config },
  ],
  exports: [RemoteConfig, FrozenConfig, Vault, LaterVault, DecoratedSettings, 'alias', 'made'],
});
const load = (config: RemoteConfig): Promise<ResilienceModuleOptions> => config.load();

type Obtain = (app: INestApplicationContext) => Pick<RemoteConfig, 'reload'>;
const theConfig: Obtain = (app) => app.get(RemoteConfig, { strict: false });
const ways: [string, ResilienceModuleAsyncOptions, Obtain][] = [
  ['useFactory', { inject: [RemoteConfig], useFactory: load }, theConfig],
  [
    'useFactory that does not wait for it',
    { inject: [RemoteConfig], useFactory: () => options },
    theConfig,
  ],
  [
    'an optional dependency',
    { inject: [{ token: RemoteConfig, optional: true }], useFactory: load },
    theConfig,
  ],
  ['an alias', { inject: ['alias'], useFactory: load }, theConfig],
  ['a factory of another class', { inject: ['made'], useFactory: load }, theConfig],
  [
    'another class',
    { inject: [Vault], useFactory: ({ config }: Vault) => load(config) },
    theConfig,
  ],
  ['a forward reference', { inject: [LaterVault], useFactory: () => options }, theConfig],
  [
    'a frozen instance',
    { inject: [FrozenConfig], useFactory: load },
    (app) => app.get(FrozenConfig, { strict: false }),
  ],
  ['useClass', { useClass: Settings }, theConfig],
  [
    'useClass that is decorated itself',
    { useClass: DecoratedSettings },
    (app) => app.get(DecoratedSettings, { strict: false }),
  ],
  [
    'useExisting that is decorated itself',
    { useExisting: DecoratedSettings },
    (app) => app.get(DecoratedSettings, { strict: false }),
  ],
];

describe.each(ways)('options through %s', (_way, given, obtain) => {
  it('let the application start, and the class that gives them belongs to it', async () => {
    const imports = [ConfigModule];
    const app = await inTime(
      start({ imports: [ResilienceModule.forRootAsync({ imports, ...given })] }),
    );
    const breakers = app.get(CircuitBreakerRegistry);
    expect(breakers.get('payments').options.failureThreshold).toBe(7);
    await obtain(app).reload();
    const calls = [...breakers].map(({ name, stats }) => [name, stats.totalCalls]);
    expect(calls).toContainEqual([expect.stringContaining('.reload'), 1]);
  });
});

it('options from a class that ModuleRef makes let the application start', async () => {
  const inject = [ModuleRef];
  const useFactory = async (reference: ModuleRef): Promise<ResilienceModuleOptions> =>
    load(await reference.create(RemoteConfig));
  const app = await inTime(
    start({ imports: [ResilienceModule.forRootAsync({ inject, useFactory })] }),
  );
  expect(app.get(CircuitBreakerRegistry).has('payments')).toBe(true);
});

it('options that fail stop the start with their error', async () => {
  const fails = (): Promise<never> => Promise.reject(down);
  const imports = [ConfigModule];
  const starting = start({
    imports: [
      ResilienceModule.forRootAsync({ imports, inject: [RemoteConfig], useFactory: fails }),
    ],
  });
  await expect(inTime(starting)).rejects.toBe(down);
});

it.each(['singleton', 'request-scoped'])(
  'options of a request stop the start of a %s',
  async (kind) => {
    @Injectable({ scope: kind === 'singleton' ? Scope.DEFAULT : Scope.REQUEST })
    class Orders extends RemoteConfig {}
    const resilience = ResilienceModule.forRootAsync({
      inject: [REQUEST],
      useFactory: () => options,
    });
    const starting = start({ imports: [resilience], providers: [Orders] });
    expect(await inTime(issuesOf(starting))).toEqual([
      'ResilienceModule.forRootAsync(): the options depend on a request-scoped provider, and are needed at start-up',
    ]);
  },
);

describe('what is called before the options are there', () => {
  @Injectable()
  class Orders {
    @CircuitProtected('payments')
    async charge(): Promise<void> {}
  }
  @Injectable()
  class CallsFirst {
    readonly called: Promise<void>;
    constructor(orders: Orders) {
      this.called = orders.charge();
    }
  }
  @Injectable()
  class Plain {
    constructor(@Inject('threshold') readonly threshold: number) {}
    @Inject('name') readonly name!: string;
  }
  const PlainModule = moduleOf({
    providers: [
      Plain,
      { provide: 'threshold', inject: [{ token: 'nothing', optional: true }], useFactory: () => 7 },
      { provide: 'name', useValue: 'payments' },
    ],
    exports: [Plain],
  });
  const late: ResilienceModuleAsyncOptions = {
    imports: [PlainModule],
    inject: [Plain],
    useFactory: async ({ name, threshold }: Plain) => {
      await new Promise((resolve) => setImmediate(resolve));
      return { circuitBreakers: { [name]: { failureThreshold: threshold } } };
    },
  };
  const callsUnder = async (resilience: object): Promise<number> => {
    const providers = [CallsFirst, Orders];
    const imports = [moduleOf({ providers }), resilience as Type];
    const app = await inTime(start({ imports }));
    await app.get(CallsFirst, { strict: false }).called;
    const called = app.get(CircuitBreakerRegistry).get('payments').stats.totalCalls;
    await app.get(Orders, { strict: false }).charge();
    expect(app.get(CircuitBreakerRegistry).get('payments').stats.totalCalls).toBe(called + 1);
    return called;
  };

  it.each([
    ['forRoot', () => ResilienceModule.forRoot(options)],
    ['forRootAsync', () => ResilienceModule.forRootAsync(late)],
  ])('waits for them with %s', async (_way, make) => {
    expect(await callsUnder(make())).toBe(1);
  });

  it('uses the default registry where they need a decorated class', async () => {
    const warn = jest.spyOn(console, 'warn').mockImplementation(() => undefined);
    const given = { ...late, imports: [PlainModule, ConfigModule], inject: [Plain, RemoteConfig] };
    expect(await callsUnder(ResilienceModule.forRootAsync(given))).toBe(0);
    expect(warn).toHaveBeenCalledTimes(1);
    warn.mockRestore();
  });
});
