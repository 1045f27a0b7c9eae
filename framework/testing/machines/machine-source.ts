import { type Codec, reasonOf, shown, VarlogError } from '../../base/index.ts';
import {
  checkCodecs,
  commandCodecs,
  jsonCodec,
  type ReplicaCodecs,
  underRules,
} from '../../smr/codecs.ts';
import type { PieceOf, StateMachine } from '../../smr/index.ts';
import { checkMachine, newMachine } from '../../smr/machine-checks.ts';
import { Rules } from '../../smr/rules.ts';
import { defect } from './defect.ts';
import { Losses } from './losses.ts';
import { StateBytes } from './state-bytes.ts';

/** What makes a machine as its replicas start with it: its class, or a function without arguments. */
export type MachineSource<Machine> = (new () => Machine) | (() => Machine);

/** A machine to be tested, and how its values become bytes. */
export interface Subject<Command, Result, Snapshot, Machine> {
  /** For people. */
  readonly name: string;
  readonly make: () => Machine & StateMachine<Command, Result, Snapshot>;
  /** Whether its machines can be forked. */
  readonly hasFork: boolean;
  readonly command: Codec<Command>;
  readonly result: Codec<Result>;
  readonly change: Codec<unknown>;
  /** Of states, or of their pieces, as replicas have them. */
  readonly snapshot: Codec<PieceOf<Snapshot>>;
  readonly state: StateBytes<Snapshot>;
  /** What the codecs have met that JSON does not keep. */
  readonly losses: Losses;
}

/** Throws `INVALID_ARGUMENT` for what makes no machines, and for codecs that are none. */
export function subjectOf<Command, Result, Snapshot, Machine>(
  source: MachineSource<Machine & StateMachine<Command, Result, Snapshot>>,
  codec: ReplicaCodecs<Command, Result, Snapshot> | undefined,
): Subject<Command, Result, Snapshot, Machine> {
  const make = makerOf(source);
  const name = source.name || 'the machine';
  checkCodecs(codec);
  const [one] = twoMachines(make, source.name || 'the function that makes the machine');
  const subject = subjectBy(name, make, one.fork !== undefined, codec);
  checkFirstState(subject, one);
  return subject;
}

/** The subject that is this machine. Throws `INVALID_ARGUMENT` where it is none. */
export function subjectThatIs<Command, Result, Snapshot, Machine>(
  machine: Machine & StateMachine<Command, Result, Snapshot>,
  codec: ReplicaCodecs<Command, Result, Snapshot> | undefined,
): Subject<Command, Result, Snapshot, Machine> {
  checkMachine(machine);
  checkCodecs(codec);
  const name = machine.constructor?.name || 'the machine';
  return subjectBy(name, () => machine, machine.fork !== undefined, codec);
}

function subjectBy<Command, Result, Snapshot, Machine>(
  name: string,
  make: () => Machine & StateMachine<Command, Result, Snapshot>,
  hasFork: boolean,
  codec: ReplicaCodecs<Command, Result, Snapshot> | undefined,
): Subject<Command, Result, Snapshot, Machine> {
  // Nobody raises the rules here.
  const rules = new Rules();
  const { command, result, change } = commandCodecs(codec, rules);
  const states = underRules(codec?.snapshot ?? jsonCodec<PieceOf<Snapshot>>(), rules);
  const losses = new Losses();
  const snapshot = losses.watch('snapshot', states);
  return {
    name,
    make,
    hasFork,
    losses,
    command: losses.watch('command', command),
    result: losses.watch('result', result),
    change: losses.watch('change', change),
    snapshot,
    state: new StateBytes(snapshot),
  };
}

/** Makes new machines of a class, or by a function. Throws `INVALID_ARGUMENT` where it is neither. */
export function makerOf<Machine>(source: MachineSource<Machine>): () => Machine {
  if (typeof source !== 'function') throw noSource(source);
  // An arrow function cannot be called with "new". What an ordinary one returns is taken all the same.
  if (source.prototype === undefined) return source as () => Machine;
  return () => new (source as new () => Machine)();
}

/** Throws `INVALID_ARGUMENT` where `make`, which is called `name`, makes none, or the same one again. */
export function twoMachines<Machine>(make: () => Machine, name: string): [Machine, Machine] {
  const one = calledPlainly(() => newMachine(make, name), name);
  const other = calledPlainly(() => newMachine(make, name), name);
  if (one === other) throw sameInstance();
  return [one, other];
}

/** What `make` gives, which is called `name`. Throws `INVALID_ARGUMENT` where it throws what is no error of this package. */
export function calledPlainly<Machine>(make: () => Machine, name: string): Machine {
  try {
    return make();
  } catch (cause) {
    if (VarlogError.is(cause)) throw cause;
    throw new VarlogError('INVALID_ARGUMENT', {
      what: `${name} throws where it is called without arguments: ${reasonOf(cause)}`,
      next: 'give a function that makes it: () => new MyMachine(…)',
      cause,
    });
  }
}

/** Before anything is run, so that the mistake is not told as the end of a story. */
function checkFirstState<Snapshot>(
  { name, state }: Pick<Subject<never, never, Snapshot, unknown>, 'name' | 'state'>,
  machine: Pick<StateMachine<never, unknown, Snapshot>, 'snapshot'>,
): void {
  try {
    state.encode(machine.snapshot());
  } catch (cause) {
    if (VarlogError.is(cause)) throw cause;
    const what = `a new machine by ${name} could not make a snapshot: ${reasonOf(cause)}`;
    throw defect('threw', 0, { what, cause });
  }
}

function noSource(source: unknown): VarlogError {
  const isInstance = typeof source === 'object' && source !== null;
  const name = (isInstance && source.constructor?.name) || 'MyMachine';
  return new VarlogError('INVALID_ARGUMENT', {
    what: isInstance
      ? `an instance of ${name} was given in place of what makes instances`
      : `what makes the machine is ${shown(source)}`,
    because: 'each replica has a machine of its own, and a new one each time that it starts',
    next: `give the class, ${name}, or a function: () => new ${name}(…)`,
  });
}

function sameInstance(): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: 'the function that makes the machine returns the same one each time',
    because: 'each replica has a machine of its own, and a new one each time that it starts',
    next: 'make it in the function: () => new MyMachine(…)',
  });
}
