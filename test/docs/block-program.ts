import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative } from 'node:path';
import ts from 'typescript';
import { type CodeBlock, root } from './markdown.js';

/**
 * Every TypeScript block of the documentation as a module of one program. The comment above a block may say
 *
 * - `file: payments.service.ts`: other blocks of the page import it by that name;
 * - `prelude: name`: names that it uses and does not declare come from `preludes/name.ts`;
 * - `run`: it is run, and its `console.log` lines print what the comments behind them say;
 * - `test`: it is a test file, and runs as one;
 * - `boot: AppModule`: an application starts from that module of its.
 *
 * A relative import finds another block of the page, or else a file of `preludes/`.
 */
export class BlockProgram {
  readonly #files = new Map<string, CodeBlock>();
  readonly #paths = new Map<CodeBlock, string>();
  readonly #program: ts.Program;

  constructor(blocks: readonly CodeBlock[]) {
    for (const block of blocks) {
      const name = block.directives.get('file') ?? `line-${String(block.line)}.ts`;
      const path = join(PAGES, block.page.replaceAll(/[\\/]/g, '__'), name);
      if (this.#files.has(path)) throw new Error(`${block.page} has two blocks "${name}"`);
      this.#files.set(path, block);
      this.#paths.set(block, path);
    }
    const options = compilerOptions();
    this.#program = ts.createProgram([...this.#files.keys()], options, this.#host(options));
  }

  /** What the compiler has to say of a block, each with the page and the line. */
  problems(block: CodeBlock): string[] {
    const source = this.#sourceOf(block);
    const found = [
      ...this.#program.getSyntacticDiagnostics(source),
      ...this.#program.getSemanticDiagnostics(source),
    ];
    return found
      .filter((each) => !isUnusedExample(source, each))
      .map(({ start = 0, messageText }) => {
        const { line } = source.getLineAndCharacterOfPosition(start);
        const message = ts.flattenDiagnosticMessageText(messageText, '\n');
        return `${block.page}:${String(block.line + line - HEADER_LINES)}: ${message}`;
      });
  }

  /** Writes the compiled blocks, and the preludes that they import, below `folder`. */
  emit(folder: string): void {
    for (const source of this.#program.getSourceFiles()) {
      if (!source.fileName.startsWith(PAGES)) continue;
      this.#program.emit(source, (path, text) => {
        const place = join(folder, relative(PAGES, path));
        mkdirSync(dirname(place), { recursive: true });
        writeFileSync(place, text);
      });
    }
  }

  /** Where `emit(folder)` puts a block. */
  outputOf(block: CodeBlock, folder: string): string {
    return join(folder, relative(PAGES, this.#pathOf(block)).replace(/\.ts$/, '.js'));
  }

  #pathOf(block: CodeBlock): string {
    return this.#paths.get(block) as string;
  }

  #sourceOf(block: CodeBlock): ts.SourceFile {
    return this.#program.getSourceFile(this.#pathOf(block)) as ts.SourceFile;
  }

  /** Pages are folders that do not exist; each seems to hold its blocks and every prelude. */
  #host(options: ts.CompilerOptions): ts.CompilerHost {
    const disk = ts.createCompilerHost(options);
    return {
      ...disk,
      fileExists: (path) => this.#read(path) !== undefined || disk.fileExists(path),
      readFile: (path) => this.#read(path) ?? disk.readFile(path),
      directoryExists: (path) => path.startsWith(PAGES) || ts.sys.directoryExists(path),
      getSourceFile: (path, version, ...more) => {
        const text = this.#read(path);
        return text === undefined
          ? disk.getSourceFile(path, version, ...more)
          : ts.createSourceFile(path, text, version);
      },
    };
  }

  #read(path: string): string | undefined {
    if (!path.startsWith(PAGES)) return undefined;
    const block = this.#files.get(path);
    if (block !== undefined) return `export {}; ${importsFor(block)}\n${block.code}\n`;
    const prelude = join(PRELUDES, basename(path));
    return path.endsWith('.ts') && existsSync(prelude) ? readFileSync(prelude, 'utf8') : undefined;
  }
}

const PAGES = join(root, 'test/docs/pages');
const PRELUDES = join(root, 'test/docs/preludes');
const HEADER_LINES = 1;
const UNUSED = new Set([6133, 6192, 6196, 6198]);

function compilerOptions(): ts.CompilerOptions {
  const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), (path) =>
    ts.sys.readFile(path),
  ) as { config: { compilerOptions: object } };
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root);
  return { ...options, noEmit: false, declaration: false, rootDir: root, outDir: undefined };
}

/** An example need not use what it declares; what it imports it must. */
function isUnusedExample(source: ts.SourceFile, { code, start = 0 }: ts.Diagnostic): boolean {
  if (!UNUSED.has(code)) return false;
  const statement = source.statements.find((each) => each.pos <= start && start < each.end);
  return statement === undefined || !ts.isImportDeclaration(statement);
}

/** One import for what a block takes from its prelude. */
function importsFor(block: CodeBlock): string {
  const prelude = block.directives.get('prelude');
  if (prelude === undefined) return '';
  const source = parse(readFileSync(join(PRELUDES, `${prelude}.ts`), 'utf8'));
  const declared = new Set(parse(block.code).statements.flatMap(namesOf));
  const taken = source.statements
    .filter((statement) => isExported(statement))
    .flatMap((statement) => namesOf(statement).map((name) => ({ name, statement })))
    .filter(({ name }) => !declared.has(name) && new RegExp(`\\b${name}\\b`).test(block.code))
    .map(({ name, statement }) => (isType(statement) ? `type ${name}` : name));
  return taken.length === 0 ? '' : `import { ${taken.join(', ')} } from './${prelude}.js';`;
}

function parse(code: string): ts.SourceFile {
  return ts.createSourceFile('block.ts', code, ts.ScriptTarget.ESNext);
}

function isExported(statement: ts.Statement): boolean {
  if (ts.isExportDeclaration(statement)) return true;
  const modifiers = ts.canHaveModifiers(statement) ? ts.getModifiers(statement) : undefined;
  return modifiers?.some(({ kind }) => kind === ts.SyntaxKind.ExportKeyword) ?? false;
}

function isType(statement: ts.Statement): boolean {
  return ts.isInterfaceDeclaration(statement) || ts.isTypeAliasDeclaration(statement);
}

/** The names that a statement brings into the scope of its module. */
function namesOf(statement: ts.Statement): string[] {
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.flatMap(({ name }) =>
      ts.isIdentifier(name) ? [name.text] : [],
    );
  }
  if (ts.isImportDeclaration(statement)) {
    const bindings = statement.importClause?.namedBindings;
    return bindings && ts.isNamedImports(bindings)
      ? bindings.elements.map(({ name }) => name.text)
      : [];
  }
  if (ts.isExportDeclaration(statement)) {
    const { exportClause } = statement;
    return exportClause && ts.isNamedExports(exportClause)
      ? exportClause.elements.map(({ name }) => name.text)
      : [];
  }
  const { name } = statement as { name?: ts.Node };
  return name !== undefined && ts.isIdentifier(name) ? [name.text] : [];
}
