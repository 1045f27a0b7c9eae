import { VarlogError } from '../../base/index.ts';

const BANNED: readonly (readonly [object: () => object, name: string, instead: string])[] = [
  [() => performance, 'now', 'context.time'],
  [() => Math, 'random', 'context.random()'],
  [() => crypto, 'randomUUID', 'context.random()'],
  [() => crypto, 'getRandomValues', 'context.random()'],
  [() => process, 'hrtime', 'context.time'],
  [() => globalThis, 'setTimeout', 'commands'],
  [() => globalThis, 'setInterval', 'commands'],
  [() => globalThis, 'setImmediate', 'commands'],
  [() => globalThis, 'queueMicrotask', 'commands'],
  [() => globalThis, 'fetch', 'commands that carry what was fetched'],
];

/**
 * Does the work, which must be synchronous, and has every call of this machine's time, timers and randomness throw
 * meanwhile, with a name of the call and of what to use instead.
 */
export function withoutHost<T>(work: () => T): T {
  const restore = [
    ...BANNED.map(([object, name, instead]) => ban(object(), name, instead)),
    banDate(),
  ];
  try {
    return work();
  } finally {
    for (const undo of restore) undo();
  }
}

function ban(object: object, name: string, instead: string): () => void {
  const call = `${object === globalThis ? '' : `${nameOf(object)}.`}${name}()`;
  return replace(object, name, () => {
    throw banned(call, instead);
  });
}

/** A date that is given is none of this machine's. */
function banDate(): () => void {
  const refuse = (call: string) => () => {
    throw banned(call, 'context.time');
  };
  const stern = new Proxy(Date, {
    construct: (target, args, newTarget) =>
      args.length === 0 ? refuse('new Date()')() : Reflect.construct(target, args, newTarget),
    apply: refuse('Date()'),
    get: (target, name) =>
      name === 'now' ? refuse('Date.now()') : Reflect.get(target, name, target),
  });
  return replace(globalThis, 'Date', stern);
}

function replace(object: object, name: string, value: unknown): () => void {
  const own = Object.getOwnPropertyDescriptor(object, name);
  Object.defineProperty(object, name, { configurable: true, writable: true, value });
  return () => {
    if (own === undefined) delete (object as Record<string, unknown>)[name];
    else Object.defineProperty(object, name, own);
  };
}

function nameOf(object: object): string {
  if (object === Math) return 'Math';
  if (object === process) return 'process';
  return object === performance ? 'performance' : 'crypto';
}

function banned(call: string, instead: string): VarlogError {
  return new VarlogError('FAILED_PRECONDITION', {
    what: `${call} was called while a command was applied`,
    because: 'it differs from replica to replica, and so would their states',
    next: `use ${instead}`,
  });
}
