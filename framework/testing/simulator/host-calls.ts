import type { VarlogError } from '../../base/index.ts';
import { redefine } from './redefine.ts';

/** The calls that give every machine something else: its time, its timers, its randomness. */
const CALLS = {
  'Date.now()': [() => Date, 'now'],
  'performance.now()': [() => performance, 'now'],
  'process.hrtime()': [() => process, 'hrtime'],
  'Math.random()': [() => Math, 'random'],
  'crypto.randomUUID()': [() => crypto, 'randomUUID'],
  'crypto.getRandomValues()': [() => crypto, 'getRandomValues'],
  'setTimeout()': [() => globalThis, 'setTimeout'],
  'setInterval()': [() => globalThis, 'setInterval'],
  'setImmediate()': [() => globalThis, 'setImmediate'],
  'queueMicrotask()': [() => globalThis, 'queueMicrotask'],
  'AbortSignal.timeout()': [() => AbortSignal, 'timeout'],
  'fetch()': [() => globalThis, 'fetch'],
} as const satisfies Record<string, readonly [object: () => object, name: string]>;

/** What to use instead of a call that is refused. */
export type Instead = Readonly<Partial<Record<keyof typeof CALLS, string>>>;

/**
 * Has each of these calls, and a date of now, throw what `refused` makes of the call and of what to use instead, until
 * the returned function is called.
 */
export function refuseHostCalls(
  instead: Instead & { readonly 'Date.now()': string },
  refused: (call: string, instead: string) => VarlogError,
): () => void {
  const undo = (Object.keys(instead) as (keyof typeof CALLS)[]).map((call) => {
    const [object, name] = CALLS[call];
    const original = Reflect.get(object(), name) as (...given: unknown[]) => unknown;
    const refuse = function (this: unknown, ...given: unknown[]): unknown {
      if (isOfOthers(new Error().stack)) return Reflect.apply(original, this, given);
      throw refused(call, instead[call]!);
    };
    return redefine(object(), name, { writable: true, value: refuse });
  });
  undo.push(refuseNow((call) => refused(call, instead['Date.now()'])));
  return () => {
    for (const it of undo) it();
  };
}

/**
 * Whether Node.js itself made the call, and no code under simulation: what a test before this one left to it, such as
 * a connection of `fetch` that is kept open, has timers. And TypeORM measures
 * how long statements take, for its own log.
 */
function isOfOthers(stack = ''): boolean {
  const [, , caller = ''] = stack.split('\n');
  return /[( ]node:|BetterSqlite3QueryRunner\.query /.test(caller);
}

/** A date of a given time is one like another; only "now" is this machine's. */
function refuseNow(refused: (call: string) => VarlogError): () => void {
  const stern: DateConstructor = new Proxy(Date, {
    apply: () => {
      throw refused('Date()');
    },
    construct: (target, given, called) => {
      if (given.length === 0) throw refused('new Date()');
      return Reflect.construct(target, given, called === stern ? target : called);
    },
  });
  return redefine(globalThis, 'Date', { writable: true, value: stern });
}
