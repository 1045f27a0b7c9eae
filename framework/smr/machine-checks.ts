import {
  checkNames,
  type JsonLoss,
  jsonLosses,
  lossParts,
  type OptionNames,
  type OrderedLog,
  type OrderedLogSource,
  shown,
  VarlogError,
} from '../base/index.ts';
import { checkCodecs, isJson, type ReplicaCodecs } from './codecs.ts';
import type { MachineDefinition } from './machine-definition.ts';
import { isPromise } from './machine-runner.ts';
import { Pieces } from './pieces.ts';
import type { SnapshotStore } from './snapshot-store.ts';
import type { StateMachine } from './state-machine.ts';

/** What a machine in memory must have, and what each is for. */
const METHODS: Readonly<Record<'apply' | 'snapshot' | 'restore', string>> = {
  apply: '`apply(command, context)`, which changes the state and returns the result',
  snapshot: '`snapshot()`, which returns the whole state',
  restore: '`restore(snapshot)`, which replaces the whole state by one that `snapshot` returned',
};

/** Throws `INVALID_ARGUMENT` for what is no machine: who lacks a method would be found out much later, or never. */
export function checkMachine(machine: unknown): void {
  checkInstance(machine);
  for (const [name, method] of Object.entries(METHODS)) checkMethod(machine, name, method);
}

/** A new machine. Throws `INVALID_ARGUMENT` where `make`, which is called `what`, makes none. */
export function newMachine<Machine>(make: () => Machine, what: string): Machine {
  const machine: unknown = make();
  if (typeof machine === 'function')
    throw makesNone(`${what} returned the function or class ${machine.name}`, machine.name);
  if (typeof machine !== 'object' || machine === null)
    throw makesNone(`${what} returned ${machine === undefined ? 'nothing' : shown(machine)}`);
  if (isPromise(machine)) throw makesNone(`${what} returned a promise`);
  checkMachine(machine);
  return machine as Machine;
}

function makesNone(what: string, name = 'MyMachine'): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what,
    next: `give a function that returns a new machine: () => new ${name}()`,
  });
}

/** Throws `INVALID_ARGUMENT` for a class in place of a function: it cannot be called. */
export function checkNoClass(make: (...args: never) => unknown, what: string): void {
  if (/^class\b/.test(Function.prototype.toString.call(make)))
    throw makesNone(`${what} is the class ${make.name}`, make.name);
}

/** The same for a machine in SQL, whose state is in its database. */
export function checkSqlMachine(machine: unknown): void {
  checkInstance(machine);
  const apply =
    '`apply(command, manager, context)`, which changes rows and resolves with the result';
  checkMethod(machine, 'apply', apply);
}

function checkInstance(machine: unknown): asserts machine is object {
  if (typeof machine === 'object' && machine !== null && !isPromise(machine)) return;
  const [what, next] =
    typeof machine === 'function'
      ? [`the function or class ${machine.name}`, `give an instance: new ${machine.name}()`]
      : isPromise(machine)
        ? ['a promise', 'await it']
        : [shown(machine), 'give an object with the methods of a machine'];
  throw new VarlogError('INVALID_ARGUMENT', { what: `the machine is ${what}`, next });
}

function checkMethod(machine: object, name: string, method: string): void {
  if (typeof (machine as Record<string, unknown>)[name] === 'function') return;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `the machine ${nameOf(machine)} has no method \`${name}\``,
    next: `give it ${method}`,
  });
}

/**
 * Throws `INVALID_ARGUMENT` where the state that a machine begins with holds what its snapshots would lose. Such a machine
 * serves well until it is restored, and has lost its state then.
 */
export function checkFirstState(
  machine: Pick<StateMachine<never, unknown>, 'snapshot'>,
  codec: ReplicaCodecs<unknown, unknown, unknown> | undefined,
): void {
  if (codec?.snapshot !== undefined && !isJson(codec.snapshot)) return;
  let lost: JsonLoss | undefined;
  try {
    const state = machine.snapshot();
    // Each piece is encoded by itself.
    ({ lost } = jsonLosses(Pieces.is(state) ? [...state.begin()] : state));
  } catch {
    // It says so when a snapshot is needed: not every replica makes any.
  }
  if (lost === undefined) return;
  const parts = lossParts(`the snapshot of the machine ${nameOf(machine)}`, lost);
  throw new VarlogError('INVALID_ARGUMENT', parts);
}

const DEFINITION_NAMES: OptionNames<MachineDefinition> = {
  make: true,
  name: true,
  codec: true,
  sessions: true,
  requests: true,
  timers: true,
  timeLeapMaxMs: true,
};

/** Throws `INVALID_ARGUMENT` for what defines no machine. */
export function checkDefinition(definition: MachineDefinition, what: string): void {
  if (typeof definition?.make !== 'function') {
    throw new VarlogError('INVALID_ARGUMENT', {
      what: `${what} is ${shown(definition)}, which does not say how the machine is made`,
      next: 'give a definition: { make: () => new MyMachine(), name, codec }, as its replicas have it',
    });
  }
  checkNoClass(definition.make, '`make`');
  checkNames(definition, DEFINITION_NAMES, `the definition of a machine, ${what}`);
  checkCodecs(definition.codec);
}

/** Throws `INVALID_ARGUMENT` for what is no log, and nothing that has one. */
export function checkLog(log: OrderedLog | OrderedLogSource): void {
  const it = log as Partial<OrderedLog & OrderedLogSource> | null | undefined;
  if (typeof it?.asOrderedLog === 'function' || typeof it?.follow === 'function') return;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `the log is ${isPromise(log) ? 'a promise' : shown(log)}, and a replica follows an ordered log`,
    next: isPromise(log)
      ? 'await it'
      : 'give a topic, such as varlog.topic(1), a Raft group, or a `MemoryLog` of varlog/testing',
  });
}

/** Throws `INVALID_ARGUMENT` for what keeps no snapshots. */
export function checkStore(store: SnapshotStore | undefined): void {
  if (store === undefined) return;
  if (typeof store?.load === 'function' && typeof store.save === 'function') return;
  throw new VarlogError('INVALID_ARGUMENT', {
    what: `snapshots is ${shown(store)}, which keeps none`,
    next: 'give a store, such as snapshotDirectory(path)',
  });
}

function nameOf(machine: object): string {
  const { name = '' } = machine.constructor ?? {};
  return name === '' || name === 'Object' ? 'that was given' : name;
}
