import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';

/**
 * Since Node 24 an async context is a map that is handed on. Before, each promise and other resource
 * has what is stored where it was made, and an id.
 */
export const storesInMaps = Number(process.versions.node.split('.')[0]) >= 24;

/** Without hooks for its end it is the cheapest that keeps an async context: 110 ns, a snapshot takes 30 us. */
const OPTIONS = { requireManualDestroy: true };

/** Keeps the async context of a call, for what is done for it later on somebody else's turn. */
export class AsyncPlace extends AsyncResource {
  #entered = false;

  constructor() {
    super('bulwark.place', OPTIONS);
  }

  /** Itself for the first who asks, the call's own work: a scope more costs 45 ns. What that calls makes its own. */
  forWork(): AsyncResource | undefined {
    if (this.#entered) return undefined;
    this.#entered = true;
    return this;
  }
}

/** What keeps the async context of a call: a place of its own, or a promise that was made in it. */
export type Place = AsyncPlace | Promise<unknown>;

/** @param promise one that is made in this async context anyway: where it keeps that, it saves 90 bytes */
export function placeAt(promise: Promise<unknown> | undefined): Place {
  return promise !== undefined && keepsContext(promise) ? promise : new AsyncPlace();
}

/** Runs `act` where `place` was made: in the scope of a promise as its own reactions do. */
export function runAt<T>(place: Place, act: () => T): T {
  return AsyncResource.prototype.runInAsyncScope.call(place as AsyncResource, act) as T;
}

/** Nothing is to be run there any more. */
export function leave(place: Place | undefined): void {
  if (place instanceof AsyncPlace) place.emitDestroy();
}

/** Under which promises have their id, once any async context is stored in the process. */
let idSymbol: symbol | undefined;

/** A promise without an id was made when nothing was stored yet, or on a Node that stores in maps. */
function keepsContext(promise: Promise<unknown>): boolean {
  return hasId(promise, (idSymbol ??= findIdSymbol()));
}

function hasId(promise: object, symbol: symbol): boolean {
  return typeof (promise as Record<symbol, unknown>)[symbol] === 'number';
}

/** That of the resources, if it is that of the promises, and brings back what is stored: else one that nothing has. */
function findIdSymbol(): symbol {
  const none = Symbol('none');
  if (storesInMaps) return none;
  const storage = new AsyncLocalStorage<boolean>();
  const promise = storage.run(true, () => Promise.resolve());
  const symbols = Object.getOwnPropertySymbols(new AsyncResource('bulwark.look'));
  const found = symbols.find((symbol) => hasId(promise, symbol)) ?? none;
  const keeps = found !== none && runAt(promise, () => storage.getStore() === true);
  storage.disable();
  return keeps ? found : none;
}
