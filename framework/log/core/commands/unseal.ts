import type { Epoch } from '../../../base/index.ts';
import { Unseal as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, done, refused } from '../command-definition.ts';
import { type Conditions, conditionsOf, revise } from '../log-stream-state.ts';
import { reassigned } from '../metadata-changes.ts';
import { noLogStream } from '../metadata-result.ts';
import { refusalOfOpening } from '../replica-change.ts';

/** Begins a new epoch of a sealed log stream, in which it takes appends. */
export interface Unseal extends Conditions {
  readonly kind: 'unseal';
  readonly id: number;
  readonly epoch: Epoch;
  /** The primary first. */
  readonly members: readonly number[];
  /** Those of the members on whose word the epoch begins. */
  readonly disks: readonly string[];
  /** See the state. */
  readonly primaryProcess: string;
}

export const unseal: CommandDefinition<Unseal, Message> = {
  kind: 'unseal',
  number: 16,
  level: 3,
  senders: ['leader'],
  describe: ({ id, epoch, members }) =>
    `open log stream ${id} in epoch ${epoch} on ${members.join(', ')}`,
  message: Message,
  toMessage: ({ id, epoch, members, disks, primaryProcess, revision = null, by = '' }) => ({
    id,
    epoch,
    members: [...members],
    disks: [...disks],
    primaryProcess,
    revision,
    by,
  }),
  fromMessage: ({ id, epoch, members, disks, primaryProcess, revision, by }) => ({
    kind: 'unseal',
    id,
    epoch,
    members,
    disks,
    primaryProcess,
    ...conditionsOf({ revision, by }),
  }),
  apply(state, command) {
    const { id, epoch, members, disks, primaryProcess, by } = command;
    const stream = state.logStreams.get(id);
    if (stream === undefined) return refused(noLogStream(id, state.logStreams.keys()));
    const refusal = refusalOfOpening(stream, command, state.storageNodes);
    if (refusal !== undefined) return refused(refusal);
    stream.epoch = epoch;
    stream.members = [...members];
    stream.joining = stream.joining.filter((it) => !members.includes(it));
    stream.initialMembers = members.map((node, i) => ({ node, disk: disks[i]! }));
    stream.primaryProcess = primaryProcess;
    stream.sealed = false;
    stream.sealedByOperator = false;
    revise(stream, `opened in epoch ${epoch} on ${members.join(', ')}`, by);
    return done(0, reassigned([stream]));
  },
};
