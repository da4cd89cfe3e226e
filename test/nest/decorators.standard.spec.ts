import ts from 'typescript';
import * as bulwark from 'nestjs-bulwark';
import { thrownBy } from '../support/lab.js';

/** Runs a program that was compiled without `experimentalDecorators`. */
function run(program: string): void {
  const { outputText } = ts.transpileModule(program, {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ES2022 },
  });
  // eslint-disable-next-line @typescript-eslint/no-implied-eval
  const compiled = new Function('bulwark', outputText) as (library: object) => void;
  compiled(bulwark);
}

describe('a decorator that was compiled as a standard one', () => {
  it.each([
    ['Retry', 'class Orders { @bulwark.Retry() async charge() {} }'],
    ['CircuitProtected', '@bulwark.CircuitProtected() class Orders { async charge() {} }'],
    ['TimeLimit', 'class Orders { @bulwark.TimeLimit("1s") static async charge() {} }'],
    ['Hedge', 'class Orders { @bulwark.Hedge({ delay: 1 }) charge = async () => {} }'],
    ['Fallback', 'class Orders { @bulwark.Fallback(() => 1) get charge() { return 1 } }'],
    [
      'OnResilienceEvent',
      'class Orders { @bulwark.OnResilienceEvent("*") async page(event: unknown) {} }',
    ],
    ['InjectCircuitBreaker', 'class Orders { @bulwark.InjectCircuitBreaker("a") breaker }'],
    ['InjectPolicy', 'class Orders { @bulwark.InjectPolicy("a") policy }'],
  ])('says how it has to be compiled: @%s()', (decorator, program) => {
    const error = thrownBy(() => run(program)) as Error;
    expect(error).toBeInstanceOf(TypeError);
    expect(error.message).toBe(
      `@${decorator}() was compiled as a standard decorator; set "experimentalDecorators": true in tsconfig.json, as Nest needs it too (with swc: "legacyDecorator")`,
    );
  });
});
