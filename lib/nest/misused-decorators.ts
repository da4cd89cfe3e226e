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

/**
 * Without its parentheses a decorator gets what it stands on in the place of its first argument, and what it
 * returns is thrown away.
 * @throws TypeError for a class or a prototype, which no decorator takes
 */
export function requireCall(decorator: string, argument: unknown): void {
  const type = classBehind(argument);
  if (type === undefined) return;
  throw new TypeError(
    `@${decorator} must be called: write @${decorator}(); it got class ${type.name} in the place of its argument`,
  );
}

/** The class itself or, of its prototype, the class. */
function classBehind(value: unknown): { readonly name: string } | undefined {
  const isPrototype =
    typeof value === 'object' && value !== null && Object.hasOwn(value, 'constructor');
  const type: unknown = isPrototype ? value.constructor : value;
  if (typeof type !== 'function') return undefined;
  const prototype = Object.getOwnPropertyDescriptor(type, 'prototype');
  // That of any other function can be replaced.
  return prototype?.writable === false ? type : undefined;
}
