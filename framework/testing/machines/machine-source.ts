import type { Codec } from '../../base/index.ts';
import { commandCodecs, jsonCodec, type ReplicaCodecs } from '../../smr/codecs.ts';
import type { StateMachine } from '../../smr/index.ts';

/** What makes a machine as its replicas start with it: its class, or a function without arguments. */
export type MachineSource<Machine> = (new () => Machine) | (() => Machine);

/** A machine to be tested, and how its values become bytes. */
export interface Subject<Command, Result, Snapshot, Machine> {
  /** For people. */
  readonly name: string;
  readonly make: () => Machine & StateMachine<Command, Result, Snapshot>;
  readonly command: Codec<Command>;
  readonly result: Codec<Result>;
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
  const { command, result } = commandCodecs(codec);
  const snapshot = codec?.snapshot ?? jsonCodec<Snapshot>();
  return { name: source.name || 'the machine', make, command, result, snapshot };
}
