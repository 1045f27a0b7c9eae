import { DrainStorageNode as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, DONE, refused } from '../command-definition.ts';
import { MOVES_FROM } from '../feature-level.ts';
import { revise } from '../log-stream-state.ts';
import { noStorageNode } from '../metadata-result.ts';

/** Has all replicas moved away from a storage node, or no longer: what was moved by then stays where it is. */
export interface DrainStorageNode {
  readonly kind: 'drainStorageNode';
  readonly id: number;
  readonly cancel: boolean;
}

export const drainStorageNode: CommandDefinition<DrainStorageNode, Message> = {
  kind: 'drainStorageNode',
  number: 26,
  level: MOVES_FROM,
  senders: ['operator'],
  describe: ({ id, cancel }) => `${cancel ? 'no longer ' : ''}drain storage node ${id}`,
  message: Message,
  toMessage: ({ id, cancel }) => ({ id, cancel }),
  fromMessage: ({ id, cancel }) => ({ kind: 'drainStorageNode', id, cancel }),
  apply(state, { id, cancel }) {
    const node = state.storageNodes.get(id);
    if (node === undefined) return refused(noStorageNode(id, state.storageNodes.keys()));
    if (node.draining === !cancel) return DONE;
    node.draining = !cancel;
    if (!cancel) return DONE;
    for (const stream of state.logStreams.values()) {
      // Where the newcomer is a member already, there is nothing to save by going back.
      if (!stream.leaving.includes(id) || stream.joining.length === 0) continue;
      stream.leaving = stream.leaving.filter((it) => it !== id);
      revise(stream, `told to keep its replica on storage node ${id}`, undefined);
    }
    return DONE;
  },
};
