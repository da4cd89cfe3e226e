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

const snippetFile = join(process.cwd(), 'test/nest/snippet.ts');

/** What the compiler says to `source`, as one text. */
function complaintsAbout(source: string): string {
  const { config } = ts.readConfigFile('tsconfig.json', (path) => ts.sys.readFile(path)) as {
    config: object;
  };
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, process.cwd());
  const host = ts.createCompilerHost(options);
  const readSource = host.getSourceFile.bind(host);
  host.getSourceFile = (path, target, ...others) =>
    path === snippetFile
      ? ts.createSourceFile(path, source, target)
      : readSource(path, target, ...others);
  host.fileExists = (path) => path === snippetFile || ts.sys.fileExists(path);
  const program = ts.createProgram([snippetFile], options, host);
  return program
    .getSemanticDiagnostics(program.getSourceFile(snippetFile))
    .map(({ messageText }) => ts.flattenDiagnosticMessageText(messageText, '\n'))
    .join('\n');
}

describe('the compiler', () => {
  it('allows what this file declares, which runs', async () => {
    expect(new Allowed().value()).toBe(1);
    expect(new OnClass()).toBeInstanceOf(OnClass);
    expect(Refused.prototype.value).toBeInstanceOf(Function);
    expect(refusedByCompiler).toHaveLength(4);
  });

  it.each([
    [
      '@Retry() value(): number { return 1; }',
      'This method is synchronous: use @RetrySync(), or make it async',
    ],
    [
      '@Retry() nothing(): void {}',
      'This method is synchronous: use @RetrySync(), or make it async',
    ],
    [
      '@RetrySync() async value(): Promise<number> { return 1; }',
      'This method is asynchronous: use @Retry()',
    ],
  ])(
    'says what to use instead: %s',
    (method, advice) => {
      const complaints = complaintsAbout(
        `import { Retry, RetrySync } from 'nestjs-bulwark';\nexport const used = [Retry, RetrySync];\nexport class Client { ${method} }`,
      );
      expect(complaints).toContain(advice);
    },
    60_000,
  );

  it('says nothing to a sound class', () => {
    const complaints = complaintsAbout(
      `import { Retry } from 'nestjs-bulwark';\nexport class Client { @Retry() async value(): Promise<number> { return 1; } }`,
    );
    expect(complaints).toBe('');
  }, 60_000);
});
