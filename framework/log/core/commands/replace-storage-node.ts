import { ReplaceStorageNode as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, DONE, done, refused } from '../command-definition.ts';
import { revise } from '../log-stream-state.ts';
import { NO_CHANGES } from '../metadata-changes.ts';
import { noStorageNode } from '../metadata-result.ts';
import { refusalOfDisk } from '../storage-nodes.ts';

/** Gives up the disk of a node, and binds `disk` or, if it is empty, the next one that comes. */
export interface ReplaceStorageNode {
  readonly kind: 'replaceStorageNode';
  readonly id: number;
  readonly disk: string;
}

export const replaceStorageNode: CommandDefinition<ReplaceStorageNode, Message> = {
  kind: 'replaceStorageNode',
  number: 8,
  level: 3,
  senders: ['operator'],
  describe: ({ id, disk }) =>
    `give up the disk of storage node ${id} for ${disk === '' ? 'the next that comes' : disk}`,
  message: Message,
  toMessage: ({ id, disk }) => ({ id, disk }),
  fromMessage: ({ id, disk }) => ({ kind: 'replaceStorageNode', id, disk }),
  apply(state, { id, disk }) {
    const known = state.storageNodes.get(id);
    if (known === undefined) return refused(noStorageNode(id, state.storageNodes.keys()));
    const before = known.disk;
    if (disk !== '' && before === disk) return DONE;
    if (known.formerDisks.includes(disk)) return refused(refusalOfDisk(known, disk)!);
    if (before !== '') known.formerDisks.push(before);
    known.disk = disk;
    // Whatever was to be removed went with the disk.
    known.removed.length = 0;
    if (before === '') return DONE;
    for (const stream of state.logStreams.values()) {
      if (!stream.replicas.includes(id)) continue;
      revise(stream, `given another disk on storage node ${id}`, undefined);
    }
    return done(0, { ...NO_CHANGES, replaced: new Set([id]) });
  },
};
