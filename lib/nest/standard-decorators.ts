/**
 * A standard decorator gets a context in the place of the method's name.
 * @throws TypeError for one
 */
export function requireExperimental(decorator: string, key: unknown): void {
  if (typeof key !== 'object' || key === null) return;
  throw new TypeError(
    `@${decorator}() was compiled as a standard decorator; set "experimentalDecorators": true in tsconfig.json, ` +
      'as Nest needs it too (with swc: "legacyDecorator")',
  );
}
