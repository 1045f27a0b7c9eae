import { UnregisterStorageNode as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, done, refused } from '../command-definition.ts';
import { NO_CHANGES } from '../metadata-changes.ts';
import { noStorageNode, refuse } from '../metadata-result.ts';

/** Takes out a storage node that holds nothing. */
export interface UnregisterStorageNode {
  readonly kind: 'unregisterStorageNode';
  readonly id: number;
}

export const unregisterStorageNode: CommandDefinition<UnregisterStorageNode, Message> = {
  kind: 'unregisterStorageNode',
  number: 14,
  level: 3,
  senders: ['operator'],
  describe: ({ id }) => `take out storage node ${id}`,
  message: Message,
  toMessage: ({ id }) => ({ id }),
  fromMessage: ({ id }) => ({ kind: 'unregisterStorageNode', id }),
  apply(state, { id }) {
    if (!state.storageNodes.has(id)) return refused(noStorageNode(id, state.storageNodes.keys()));
    for (const stream of state.logStreams.values()) {
      if (!stream.replicas.includes(id)) continue;
      const what = `storage node ${id} holds a replica of log stream ${stream.id}`;
      const next = `drain it first, with "varlog node drain ${id}"`;
      return refused(refuse('FAILED_PRECONDITION', what, next));
    }
    state.storageNodes.delete(id);
    state.unregistered.add(id);
    return done(0, { ...NO_CHANGES, unregistered: new Set([id]) });
  },
};
