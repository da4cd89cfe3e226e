import 'reflect-metadata';
import { join } from 'node:path';
import {
  CircuitBreaker,
  CircuitProtected,
  type CircuitBreakerOptions,
  InjectCircuitBreaker,
  ResilienceInterceptor,
  ResilienceModule,
  Retry,
  RetryConfig,
  RetrySync,
  retry,
} from 'nestjs-bulwark';
import { type Observable, of } from 'rxjs';
import ts from 'typescript';

/** Checked by the compiler (`tsc --noEmit`): each line below an expectation must not compile. */
class Allowed {
  @Retry() async promise(): Promise<void> {
    /* fine */
  }
  @Retry() thenable(): PromiseLike<number> {
    return Promise.resolve(1);
  }
  @Retry() observable(): Observable<number> {
    return of(1);
  }
  @Retry() async *generator(): AsyncGenerator<number> {
    yield 1;
  }
  @Retry() iterable(): AsyncIterable<number> {
    return this.generator();
  }
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  @Retry() anything(): any {
    return 1;
  }
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  @RetrySync() anythingSync(): any {
    return 1;
  }
  @Retry() generic<T>(value: T): Promise<T> {
    return Promise.resolve(value);
  }
  @Retry() maybe(cached: boolean): Promise<number> | Observable<number> {
    return cached ? of(1) : Promise.resolve(1);
  }
  @Retry('api') named(): Promise<void> {
    return Promise.resolve();
  }
  @Retry(new RetryConfig({ maxAttempts: 2 })) config(): Promise<void> {
    return Promise.resolve();
  }
  @Retry(retry()) policy(): Promise<void> {
    return Promise.resolve();
  }
  @RetrySync({ maxAttempts: 2 }) value(): number {
    return 1;
  }
  @RetrySync() nothing(): void {
    /* fine */
  }
  @CircuitProtected() plain(): number {
    return 1;
  }
  @CircuitProtected(new CircuitBreaker()) both(): Promise<number> {
    return Promise.resolve(1);
  }
}

@Retry()
@CircuitProtected({ failureThreshold: 1 })
class OnClass {
  constructor(@InjectCircuitBreaker('payments') readonly breaker?: CircuitBreaker) {}
  async call(): Promise<void> {
    /* fine */
  }
}

class Refused {
  // @ts-expect-error a synchronous method takes @RetrySync
  @Retry() value(): number {
    return 1;
  }
  // @ts-expect-error a synchronous method takes @RetrySync
  @Retry() nothing(): void {
    /* fine */
  }
  // @ts-expect-error a synchronous method takes @RetrySync
  @Retry({ maxAttempts: 2 }) list(): string[] {
    return [];
  }
  // @ts-expect-error an asynchronous method takes @Retry
  @RetrySync() async promise(): Promise<void> {
    /* fine */
  }
  // @ts-expect-error an asynchronous method takes @Retry
  @RetrySync() observable(): Observable<number> {
    return of(1);
  }
  // @ts-expect-error an asynchronous method takes @Retry
  @RetrySync() async *generator(): AsyncGenerator<number> {
    yield 1;
  }
  // @ts-expect-error an unknown option
  @Retry({ maxAttempt: 3 }) async misspelt(): Promise<void> {
    /* fine */
  }
  // @ts-expect-error an unknown option
  @CircuitProtected({ threshold: 3 }) async unknownOption(): Promise<void> {
    /* fine */
  }
}

const refusedByCompiler = [
  // @ts-expect-error an unknown group
  () => ResilienceModule.forRoot({ circuitBreaker: {} }),
  // @ts-expect-error an unknown part
  () => ResilienceInterceptor({ retries: {} }),
  // @ts-expect-error no class with createResilienceOptions
  () => ResilienceModule.forRootAsync({ useClass: Allowed }),
  // @ts-expect-error a duration is a number or a string
  (): CircuitBreakerOptions => ({ recoveryTimeout: true }),
];

/** A method that the compiler refuses, and what it advises. */
const refusedMethods: readonly [method: string, advice: string][] = [
  [
    '@Retry() value(): number { return 1; }',
    'This method is synchronous: use @RetrySync(), or make it async',
  ],
  ['@Retry() nothing(): void {}', 'This method is synchronous: use @RetrySync(), or make it async'],
  [
    '@RetrySync() async value(): Promise<number> { return 1; }',
    'This method is asynchronous: use @Retry()',
  ],
  [
    "@TimeLimit('1s') value(): number { return 1; }",
    'This method is synchronous, and nothing can interrupt it: make it async',
  ],
  [
    "@Hedge({ delay: '1s' }) value(): number { return 1; }",
    'This method is synchronous, and no other try can start beside it: make it async',
  ],
  [
    '@Fallback(() => 2) value(): number { return 1; }',
    'This method is synchronous, and @Fallback() would make it answer with a promise: make it async',
  ],
  [
    "@Resilient('api') value(): number { return 1; }",
    'This method is synchronous, and a policy may wait: make it async, or use @CircuitProtected(), @Bulkhead() or @RateLimit()',
  ],
];
const sound = '@Retry() async value(): Promise<number> { return 1; }';
const decorators = 'Fallback, Hedge, Resilient, Retry, RetrySync, TimeLimit';

/** What the compiler says to each class of one method, all compiled as one file. */
function complaintsAbout(methods: readonly string[]): string[] {
  const snippetFile = join(process.cwd(), 'test/nest/snippet.ts');
  const { config } = ts.readConfigFile('tsconfig.json', (path) => ts.sys.readFile(path)) as {
    config: object;
  };
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, process.cwd());
  const host = ts.createCompilerHost(options);
  const readSource = host.getSourceFile.bind(host);
  const lines = [
    `import { ${decorators} } from 'nestjs-bulwark';`,
    `export const used = [${decorators}];`,
    ...methods.map((method, at) => `export class Client${String(at)} { ${method} }`),
  ];
  host.getSourceFile = (path, target, ...others) =>
    path === snippetFile
      ? ts.createSourceFile(path, lines.join('\n'), target)
      : readSource(path, target, ...others);
  host.fileExists = (path) => path === snippetFile || ts.sys.fileExists(path);
  const program = ts.createProgram([snippetFile], options, host);
  const snippet = program.getSourceFile(snippetFile) as ts.SourceFile;
  const said = program.getSemanticDiagnostics(snippet).map(({ start, messageText }) => ({
    line: snippet.getLineAndCharacterOfPosition(start ?? 0).line,
    text: ts.flattenDiagnosticMessageText(messageText, '\n'),
  }));
  return lines.map((_line, at) =>
    said
      .filter(({ line }) => line === at)
      .map(({ text }) => text)
      .join('\n'),
  );
}

describe('the compiler', () => {
  let complaints: string[];
  beforeAll(() => {
    const methods = [sound, ...refusedMethods.map(([method]) => method)];
    complaints = complaintsAbout(methods).slice(2);
  }, 60_000);

  it('allows what this file declares, which runs', async () => {
    expect(new Allowed().value()).toBe(1);
    expect(new OnClass()).toBeInstanceOf(OnClass);
    expect(Refused.prototype.value).toBeInstanceOf(Function);
    expect(refusedByCompiler).toHaveLength(4);
  });

  it('says nothing to a sound class', () => {
    expect(complaints[0]).toBe('');
  });

  it.each(refusedMethods.map(([method, advice], at) => ({ method, advice, at: at + 1 })))(
    'says what to use instead: $method',
    ({ advice, at }) => {
      expect(complaints[at]).toContain(`'${advice}'`);
    },
  );
});
