import { VarlogError } from '../../base/index.ts';

const CLOCK = 'clock.wall() of the ports, or context.time in a machine';

const GUARDED: readonly (readonly [object: () => object, name: string, instead: string])[] = [
  [() => Date, 'now', CLOCK],
  [() => performance, 'now', 'clock.now() of the ports'],
  [() => Math, 'random', 'random.fraction() of the ports, or context.random() in a machine'],
  [() => crypto, 'randomUUID', 'random.id() of the ports'],
  [() => crypto, 'getRandomValues', 'random.below(limit) of the ports'],
  [() => globalThis, 'setTimeout', 'clock.after(ms, ring) of the ports'],
  [() => globalThis, 'setInterval', 'clock.after(ms, ring) of the ports'],
  [() => globalThis, 'setImmediate', 'clock.defer(run) of the ports'],
  [() => AbortSignal, 'timeout', 'timeoutMs, or clock.after and an AbortController'],
];

/** A simulation that goes on: whether it guards the machine, and how it is told that nobody waits for it any more. */
interface HostRun {
  readonly guarded: boolean;
  abandoned(reason: VarlogError): void;
}

const runs = new Set<HostRun>();
let restore: (() => void)[] = [];

/**
 * Notes that a simulation runs until the returned function is called, and that {@link abandonRuns} has to tell it.
 * Where `guarded`, the machine's time and randomness throw until then: code under simulation that uses them would not
 * be reproducible. Runs may overlap.
 */
export function beginRun(run: HostRun): () => void {
  runs.add(run);
  guardWhileNeeded();
  return () => {
    runs.delete(run);
    guardWhileNeeded();
  };
}

/**
 * Gives up every simulation that still runs in this process, and lifts its guard at once. For the end of a test: one
 * that took too long leaves its world running, and the tests after it without a clock.
 */
export function abandonRuns(): void {
  const active = [...runs];
  runs.clear();
  guardWhileNeeded();
  const reason = new VarlogError('CANCELLED', {
    what: 'this simulation was given up: the test that ran it has ended',
    next: 'give the test more time, or play fewer seeds in it',
  });
  for (const run of active) run.abandoned(reason);
}

function guardWhileNeeded(): void {
  const needed = [...runs].some((it) => it.guarded);
  if (needed && restore.length === 0)
    restore = [
      ...GUARDED.map(([object, name, instead]) => guard(object(), name, instead)),
      guardDate(),
    ];
  if (!needed) for (const undo of restore.splice(0)) undo();
}

function guard(object: object, name: string, instead: string): () => void {
  return replace(object, name, () => {
    throw leaked(name, instead);
  });
}

/** A date of a given time is one like another; only "now" is not. */
function guardDate(): () => void {
  const guarded: DateConstructor = new Proxy(Date, {
    apply: () => {
      throw leaked('Date()', CLOCK);
    },
    construct: (target, given, called) => {
      if (given.length === 0) throw leaked('new Date()', CLOCK);
      return Reflect.construct(target, given, called === guarded ? target : called);
    },
  });
  return replace(globalThis, 'Date', guarded);
}

function leaked(name: string, instead: string): VarlogError {
  return new VarlogError('FAILED_PRECONDITION', {
    what: `${name} was called in a simulation`,
    because: 'it would make the run impossible to repeat',
    next: `use ${instead}`,
  });
}

function replace(object: object, name: string, value: unknown): () => void {
  const own = Object.getOwnPropertyDescriptor(object, name);
  Object.defineProperty(object, name, { configurable: true, writable: true, value });
  return () => {
    if (own === undefined) delete (object as Record<string, unknown>)[name];
    else Object.defineProperty(object, name, own);
  };
}
