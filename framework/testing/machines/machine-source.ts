import { type Codec, VarlogError } from '../../base/index.ts';
import { commandCodecs, jsonCodec, type ReplicaCodecs } from '../../smr/codecs.ts';
import { Pieces, type StateMachine } from '../../smr/index.ts';
import { Rules } from '../../smr/rules.ts';

/** What makes a machine as its replicas start with it: its class, or a function without arguments. */
export type MachineSource<Machine> = (new () => Machine) | (() => Machine);

/** A machine to be tested, and how its values become bytes. */
export interface Subject<Command, Result, Snapshot, Machine> {
  /** For people. */
  readonly name: string;
  readonly make: () => Machine & StateMachine<Command, Result, Snapshot>;
  readonly command: Codec<Command>;
  readonly result: Codec<Result>;
  readonly change: Codec<unknown>;
  readonly snapshot: Codec<Snapshot>;
}

export function subjectOf<Command, Result, Snapshot, Machine>(
  source: MachineSource<Machine & StateMachine<Command, Result, Snapshot>>,
  codec: ReplicaCodecs<Command, Result, Snapshot> | undefined,
): Subject<Command, Result, Snapshot, Machine> {
  type Made = Machine & StateMachine<Command, Result, Snapshot>;
  // An arrow function cannot be called with "new". What an ordinary one returns is taken all the same.
  const isArrow = source.prototype === undefined;
  const make = isArrow ? (source as () => Made) : () => new (source as new () => Made)();
  // Nobody raises the rules here.
  const { command, result, change } = commandCodecs(codec, new Rules());
  const snapshot = wholeStates((codec?.snapshot as Codec<Snapshot>) ?? jsonCodec<Snapshot>());
  return { name: source.name || 'the machine', make, command, result, change, snapshot };
}

/** A state is compared whole, and shown. */
function wholeStates<Snapshot>(codec: Codec<Snapshot>): Codec<Snapshot> {
  return {
    encode: (state) => {
      if (Pieces.is(state)) throw inPieces();
      return codec.encode(state);
    },
    decode: (bytes) => codec.decode(bytes),
  };
}

function inPieces(): VarlogError {
  return new VarlogError('UNIMPLEMENTED', {
    what: 'the machine hands over its state in pieces, which these checks do not take',
    next: 'test it with a `snapshot` and `restore` that take the state whole',
  });
}
