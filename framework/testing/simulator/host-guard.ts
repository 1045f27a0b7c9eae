import { VarlogError } from '../../base/index.ts';

const GUARDED: readonly (readonly [object: () => object, name: string, instead: string])[] = [
  [() => Date, 'now', 'clock.wall()'],
  [() => performance, 'now', 'clock.now()'],
  [() => Math, 'random', 'random.fraction()'],
  [() => crypto, 'randomUUID', 'random.id()'],
  [() => globalThis, 'setTimeout', 'clock.after(ms, ring)'],
  [() => globalThis, 'setInterval', 'clock.after(ms, ring)'],
  [() => globalThis, 'setImmediate', 'clock.defer(run)'],
  [() => AbortSignal, 'timeout', 'timeoutMs, or clock.after and an AbortController'],
];

let running = 0;
let restore: (() => void)[] = [];

/**
 * Makes the machine's time and randomness throw until the returned function is called: code under
 * simulation that uses them would not be reproducible. Guards may overlap.
 */
export function guardHost(): () => void {
  if (running++ === 0)
    restore = GUARDED.map(([object, name, instead]) => guard(object(), name, instead));
  let lifted = false;
  return () => {
    if (lifted) return;
    lifted = true;
    if (--running === 0) for (const undo of restore.splice(0)) undo();
  };
}

function guard(object: object, name: string, instead: string): () => void {
  const own = Object.getOwnPropertyDescriptor(object, name);
  Object.defineProperty(object, name, {
    configurable: true,
    writable: true,
    value: () => {
      throw new VarlogError('FAILED_PRECONDITION', {
        what: `${name} was called in a simulation`,
        because: 'it would make the run impossible to repeat',
        next: `use ${instead} of the ports`,
      });
    },
  });
  return () => {
    if (own === undefined) delete (object as Record<string, unknown>)[name];
    else Object.defineProperty(object, name, own);
  };
}
