import { ConfirmRemovals as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, DONE, refused } from '../command-definition.ts';
import { noStorageNode } from '../metadata-result.ts';

/** A storage node has removed replicas that were taken away from it. */
export interface ConfirmRemovals {
  readonly kind: 'confirmRemovals';
  readonly id: number;
  readonly disk: string;
  readonly logStreams: readonly number[];
}

export const confirmRemovals: CommandDefinition<ConfirmRemovals, Message> = {
  kind: 'confirmRemovals',
  number: 1,
  level: 3,
  // The node tells the leader, which takes note of it.
  senders: ['leader'],
  describe: ({ id, logStreams }) => `storage node ${id} has removed ${logStreams.join(', ')}`,
  message: Message,
  toMessage: ({ id, disk, logStreams }) => ({ id, disk, logStreams: [...logStreams] }),
  fromMessage: ({ id, disk, logStreams }) => ({ kind: 'confirmRemovals', id, disk, logStreams }),
  apply(state, { id, disk, logStreams }) {
    const node = state.storageNodes.get(id);
    if (node === undefined) return refused(noStorageNode(id, state.storageNodes.keys()));
    if (node.disk !== disk) return DONE;
    const left = node.removed.filter((it) => !logStreams.includes(it));
    node.removed.splice(0, Number.POSITIVE_INFINITY, ...left);
    return DONE;
  },
};
