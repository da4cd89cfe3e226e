import ts from 'typescript';
import * as bulwark from 'nestjs-bulwark';
import { thrownBy } from '../support/lab.js';

/** Runs a program that nobody has checked the types of, as esbuild, swc and plain JavaScript do. */
function run(program: string): void {
  const { outputText } = ts.transpileModule(program, {
    compilerOptions: {
      target: ts.ScriptTarget.ES2022,
      module: ts.ModuleKind.ES2022,
      experimentalDecorators: true,
    },
  });
  // eslint-disable-next-line @typescript-eslint/no-implied-eval
  const compiled = new Function('bulwark', outputText) as (library: object) => void;
  compiled(bulwark);
}

const POLICIES = [
  'AdaptiveLimit',
  'Bulkhead',
  'CircuitProtected',
  'ClientThrottle',
  'Fallback',
  'Hedge',
  'RateLimit',
  'Resilient',
  'Retry',
  'RetrySync',
  'TimeLimit',
];
type Row = readonly [decorator: string, place: string, program: string];

const onMember = (decorator: string, place: string, member: string): Row => [
  decorator,
  place,
  `class Orders { @bulwark.${decorator} ${member} }`,
];
const onMethod = (decorator: string): Row => onMember(decorator, 'a method', 'async charge() {}');
const onClass = (decorator: string): Row => [
  decorator,
  'a class',
  `@bulwark.${decorator} class Orders { async charge() {} }`,
];
const onParameter = (decorator: string): Row => [
  decorator,
  'a parameter',
  `class Orders { constructor(@bulwark.${decorator} api) {} }`,
];
const ROWS: readonly Row[] = [
  ...POLICIES.flatMap((decorator) => [
    onMethod(decorator),
    onMember(decorator, 'a static method', 'static async charge() {}'),
    onMember(decorator, 'an accessor', 'get total() { return 1 }'),
    onMember(decorator, 'a property', 'charge = async () => {}'),
    onClass(decorator),
  ]),
  onMethod('OnResilienceEvent'),
  ...['InjectCircuitBreaker', 'InjectPolicy'].flatMap((decorator) => [
    onMember(decorator, 'a property', 'api'),
    onParameter(decorator),
  ]),
];

describe('a decorator without its parentheses', () => {
  it.each(ROWS)('has no effect, and says so: @%s on %s', (decorator, _place, program) => {
    const error = thrownBy(() => run(program)) as Error;
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toBe(
      `@${decorator} must be called: write @${decorator}(); it got class Orders in the place of its argument`,
    );
  });

  it.each([
    ['a handler', 'class Orders { @bulwark.Fallback(() => 1) async charge() {} }'],
    [
      'a handler of the old kind',
      'class Orders { @bulwark.Fallback(function () {}) async charge() {} }',
    ],
    [
      'a breaker',
      'class Orders { @bulwark.CircuitProtected(new bulwark.CircuitBreaker()) async charge() {} }',
    ],
    [
      'a configuration',
      'class Orders { @bulwark.Retry(new bulwark.RetryConfig()) async charge() {} }',
    ],
    ['nothing', 'class Orders { @bulwark.Retry() async charge() {} }'],
  ])('is none where it was given %s', (_what, program) => {
    expect(() => run(program)).not.toThrow();
  });
});
