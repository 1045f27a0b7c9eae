import { SetReplicas as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, done, refused } from '../command-definition.ts';
import { type Conditions, revise } from '../log-stream-state.ts';
import { reassigned } from '../metadata-changes.ts';
import { noLogStream } from '../metadata-result.ts';
import { refusalOfChange } from '../replica-change.ts';
import { giveBack, refusalOfPlacement, takeAway } from '../storage-nodes.ts';

/** Gives a sealed log stream other replicas. */
export interface SetReplicas extends Conditions {
  readonly kind: 'setReplicas';
  readonly id: number;
  readonly replicas: readonly number[];
  readonly revision: number;
  /** Replicas that are up and have said that they hold all of the sealed log stream. */
  readonly holders: readonly number[];
}

export const setReplicas: CommandDefinition<SetReplicas, Message> = {
  kind: 'setReplicas',
  number: 11,
  level: 3,
  senders: ['operator'],
  describe: ({ id, replicas }) => `give log stream ${id} the replicas ${replicas.join(', ')}`,
  message: Message,
  toMessage: ({ id, replicas, revision, holders, by = '' }) => ({
    id,
    replicas: [...replicas],
    revision,
    holders: [...holders],
    by,
  }),
  fromMessage: ({ id, replicas, revision, holders, by }) => ({
    kind: 'setReplicas',
    id,
    replicas,
    revision,
    holders,
    ...(by === '' ? {} : { by }),
  }),
  apply(state, command) {
    const { id, replicas, by } = command;
    const { storageNodes } = state;
    const stream = state.logStreams.get(id);
    if (stream === undefined) return refused(noLogStream(id, state.logStreams.keys()));
    const topic = state.topics.get(stream.topicId)!;
    const refusal =
      refusalOfPlacement(storageNodes, replicas) ??
      refusalOfChange(stream, topic, command, storageNodes);
    if (refusal !== undefined) return refused(refusal);
    const before = stream.replicas;
    takeAway(
      storageNodes,
      id,
      before.filter((it) => !replicas.includes(it)),
    );
    giveBack(storageNodes, id, replicas);
    stream.replicas = [...replicas];
    stream.replicationFactor = replicas.length;
    stream.joining = [];
    stream.leaving = [];
    if (!replicas.includes(stream.preferred)) stream.preferred = 0;
    stream.members = stream.members.filter((it) => replicas.includes(it));
    revise(stream, `given the replicas ${replicas.join(', ')}`, by);
    return done(0, reassigned([stream], before));
  },
};
