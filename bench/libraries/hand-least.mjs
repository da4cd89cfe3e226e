/**
 * The least that each policy can be, written by hand: what no library that does its work can go below.
 * Each passes a context, counts, lets a synchronous throw and a plain value through, and stops there: no
 * options, no other policies, nothing to configure.
 */
import { AsyncLocalStorage, AsyncResource } from 'node:async_hooks';
import { decorate, fn } from './work.mjs';

const FIRST = { attempt: 1 };

/** An `apply` with an array takes 8 to 11 ns more: nothing inside it can be inlined. */
function direct(work, self, args) {
  if (args === undefined) return work(FIRST);
  if (args.length === 0) return work.call(self);
  if (args.length === 2) return work.call(self, args[0], args[1]);
  return work.apply(self, args);
}

function breaker() {
  const state = { open: false, admitted: 0, successful: 0, failures: 0 };
  const onSuccess = (value) => {
    state.successful++;
    state.failures = 0;
    return value;
  };
  const onFailure = (error) => {
    if (++state.failures === 5) state.open = true;
    throw error;
  };
  return (work, self, args) => {
    if (state.open) throw new Error('open');
    state.admitted++;
    let result;
    try {
      result = direct(work, self, args);
    } catch (error) {
      return onFailure(error);
    }
    return result instanceof Promise ? result.then(onSuccess, onFailure) : onSuccess(result);
  };
}

/** The breaker is the instance's, found at the call: a class knows nothing of the application it is used in. */
function decorated(args = '') {
  const BREAKER = Symbol('breaker');
  class Service {
    charge() {
      return fn();
    }
  }
  decorate(Service, 'charge', (_target, _key, descriptor) => {
    const method = descriptor.value;
    descriptor.value = function (...args) {
      return this[BREAKER](method, this, args);
    };
  });
  class Plain {
    charge() {
      return fn();
    }
  }
  const service = new Service();
  Object.defineProperty(service, BREAKER, { value: breaker() });
  return {
    expression: `service.charge(${args})`,
    bare: `plain.charge(${args})`,
    scope: { service, plain: new Plain() },
  };
}

/** What failed can be called again only by a function that remembers it: one closure for each call. */
function retry() {
  const state = { attempts: 0, firstTries: 0 };
  const onSuccess = (value) => {
    state.firstTries++;
    return value;
  };
  const again = async (work, self, args, call, error) => {
    if (call.attempt === 3) throw error;
    return work.apply(self, args);
  };
  return (work, self, args = []) => {
    state.attempts++;
    const call = FIRST;
    const onFailure = (error) => again(work, self, args, call, error);
    let result;
    try {
      result = work(call);
    } catch (error) {
      return onFailure(error);
    }
    return result instanceof Promise ? result.then(onSuccess, onFailure) : onSuccess(result);
  };
}

const storage = new AsyncLocalStorage();
const inside = (work, call) => work(call);
const entered = (work, call) => {
  storage.enterWith(call);
  return work(call);
};
/** Node 24 makes two maps for a `run`; the scope of a resource puts the one before back. */
const onMaps = Number(process.versions.node.split('.')[0]) >= 24;
const store = onMaps
  ? (call, work) => new AsyncResource('call').runInAsyncScope(entered, undefined, work, call)
  : (call, work) => storage.run(call, inside, work, call);
let resolveLast;
let rejectLast;
const capture = (resolve, reject) => {
  resolveLast = resolve;
  rejectLast = reject;
};

/**
 * A promise that the limit can reject, a deadline that `remainingTime()` finds after an `await`, and a
 * place in a list under one timer. `settled` and `failed` are what policies around it learn.
 */
function timeLimit(milliseconds, { settled, failed } = {}) {
  const first = { next: undefined };
  const timer = setTimeout(() => {
    for (let call = first.next; call; call = call.next) call.reject(new Error('timed out'));
  }, 3_600_000);
  timer.unref();
  return (work) => {
    const promise = new Promise(capture);
    const at = performance.now() + milliseconds;
    const call = {
      attempt: 1,
      at,
      resolve: resolveLast,
      reject: rejectLast,
      previous: first,
      next: first.next,
    };
    if (first.next !== undefined) first.next.previous = call;
    first.next = call;
    const leave = () => {
      call.previous.next = call.next;
      if (call.next !== undefined) call.next.previous = call.previous;
    };
    store(call, work).then(
      (value) => {
        leave();
        settled?.(value);
        call.resolve(value);
      },
      (error) => {
        leave();
        failed?.(error);
        call.reject(error);
      },
    );
    return promise;
  };
}

function guarded() {
  const state = { admitted: 0, successful: 0, failures: 0, attempts: 0 };
  const limited = timeLimit(1_000, {
    settled: () => {
      state.successful++;
      state.failures = 0;
    },
    failed: () => state.failures++,
  });
  return (work) => {
    state.attempts++;
    state.admitted++;
    return limited(work);
  };
}

const calling = (call) => ({ expression: 'call(fn)', scope: { call, fn } });

export const cases = {
  breaker: () => calling(breaker()),
  'breaker-decorated': () => decorated(),
  'breaker-arguments': () => decorated('1, 2'),
  retry: () => calling(retry()),
  'time-limit': () => calling(timeLimit(1_000)),
  pipeline: () => calling(guarded()),
};

export const makePipeline = (slow) => {
  const call = guarded();
  return () => call(slow);
};
