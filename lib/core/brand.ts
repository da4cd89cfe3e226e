/** Recognises what a class has made in whichever installed copy of the library: `instanceof` holds within one. */
export class Brand<T = unknown> {
  readonly #mark: symbol;

  constructor(name: string) {
    this.#mark = Symbol.for(`nestjs-bulwark:${name}`);
  }

  /** Puts it on a class, and so on all that extend it. */
  put(type: { readonly prototype: T }): void {
    Object.defineProperty(type.prototype, this.#mark, { value: true });
  }

  /** Safe for any value: a Proxy may throw when it is looked at. */
  isOn(value: unknown): value is T {
    try {
      return (value as Record<symbol, unknown> | null | undefined)?.[this.#mark] === true;
    } catch {
      return false;
    }
  }
}

/** A policy, for those who must not know the class itself. */
export const policyBrand = new Brand<{ readonly kind: string; readonly name: string }>('policy');
