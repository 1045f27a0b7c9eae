import { MoveReplicas as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, DONE, done, refused } from '../command-definition.ts';
import { MOVES_FROM } from '../feature-level.ts';
import { type Conditions, revise } from '../log-stream-state.ts';
import { reassigned } from '../metadata-changes.ts';
import { noLogStream } from '../metadata-result.ts';
import { refusalOfMove } from '../replica-change.ts';
import { giveBack, refusalOfPlacement, takeAway } from '../storage-nodes.ts';

/**
 * One step of the way on which a log stream that goes on comes to lie on other storage nodes: gives it replicas, orders
 * some to leave, or removes those that have left. The first of `replicas` is to be its primary when it opens next.
 */
export interface MoveReplicas extends Conditions {
  readonly kind: 'moveReplicas';
  readonly id: number;
  readonly replicas: readonly number[];
  /** Those of the replicas that are to go as soon as all others are members. */
  readonly leaving: readonly number[];
  readonly revision: number;
}

export const moveReplicas: CommandDefinition<MoveReplicas, Message> = {
  kind: 'moveReplicas',
  number: 27,
  level: MOVES_FROM,
  senders: ['leader'],
  describe: ({ id, replicas, leaving }) =>
    `have log stream ${id} on storage nodes ${replicas.join(', ')}${leaving.length === 0 ? '' : `, of which ${leaving.join(', ')} leave`}`,
  message: Message,
  toMessage: ({ id, replicas, leaving, revision, by = '' }) => ({
    id,
    replicas: [...replicas],
    leaving: [...leaving],
    revision,
    by,
  }),
  fromMessage: ({ id, replicas, leaving, revision, by }) => ({
    kind: 'moveReplicas',
    id,
    replicas,
    leaving,
    revision,
    ...(by === '' ? {} : { by }),
  }),
  apply(state, command) {
    const { id, replicas, leaving, by } = command;
    const { storageNodes } = state;
    const stream = state.logStreams.get(id);
    if (stream === undefined) return refused(noLogStream(id, state.logStreams.keys()));
    const refusal =
      refusalOfPlacement(storageNodes, replicas) ?? refusalOfMove(stream, command, storageNodes);
    if (refusal !== undefined) return refused(refusal);
    const before = stream.replicas;
    if (String(before) === String(replicas) && String(stream.leaving) === String(leaving)) {
      return DONE;
    }
    const added = replicas.filter((it) => !before.includes(it));
    const removed = before.filter((it) => !replicas.includes(it));
    takeAway(storageNodes, id, removed);
    giveBack(storageNodes, id, added);
    stream.replicas = [...replicas];
    stream.leaving = [...leaving];
    stream.joining = [...stream.joining, ...added].filter((it) => replicas.includes(it));
    if (removed.includes(stream.preferred)) stream.preferred = 0;
    const leave = leaving.length === 0 ? '' : `, of which ${leaving.join(', ')} leave`;
    revise(stream, `placed on storage nodes ${replicas.join(', ')}${leave}`, by);
    return added.length + removed.length === 0 ? DONE : done(0, reassigned([stream], before));
  },
};
