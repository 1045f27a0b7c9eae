import { RegisterStorageNode as Message } from '../../../wire/gen/metadata.ts';
import { type CommandDefinition, DONE, done, refused } from '../command-definition.ts';
import { isId } from '../id-pool.ts';
import { reassigned } from '../metadata-changes.ts';
import { noId, refuse } from '../metadata-result.ts';
import { refusalOfDisk } from '../storage-nodes.ts';

/** Makes a node known, or its new address where `move` allows that. */
export interface RegisterStorageNode {
  readonly kind: 'registerStorageNode';
  readonly id: number;
  readonly address: string;
  /** Said by the node itself. The first one is bound to the id, another one refused. */
  readonly disk?: string;
  /** Said by the node itself, which does not bring back one that was unregistered. */
  readonly move?: boolean;
}

export const registerStorageNode: CommandDefinition<RegisterStorageNode, Message> = {
  kind: 'registerStorageNode',
  number: 5,
  level: 3,
  senders: ['operator', 'storageNode'],
  describe: ({ id, address }) => `storage node ${id} is at ${address}`,
  message: Message,
  toMessage: ({ id, address, disk = '', move = false }) => ({ id, address, disk, move }),
  fromMessage: ({ id, address, disk, move }) => ({
    kind: 'registerStorageNode',
    id,
    address,
    disk,
    move,
  }),
  apply(state, { id, address, disk = '', move = false }) {
    if (!isId(id)) return refused(noId('storage node', id));
    if (address === '') {
      const what = `the address of storage node ${id} is empty`;
      return refused(refuse('INVALID_ARGUMENT', what, 'name its host and port'));
    }
    if (move && state.unregistered.has(id)) {
      const what = `storage node ${id} was unregistered`;
      const next = 'stop its process, or register it again (AddStorageNode of the cluster manager)';
      return refused(refuse('FAILED_PRECONDITION', what, next));
    }
    const known = state.storageNodes.get(id);
    if (known === undefined) {
      state.unregistered.delete(id);
      state.storageNodes.set(id, {
        id,
        address,
        disk,
        formerDisks: [],
        removed: [],
        draining: false,
      });
      return DONE;
    }
    const refusal = disk === '' ? undefined : refusalOfDisk(known, disk);
    if (refusal !== undefined) return refused(refusal);
    const isMoved = known.address !== address;
    if (isMoved && !move) {
      const what = `storage node ${id} is registered at ${known.address}`;
      return refused(refuse('ALREADY_EXISTS', what, 'choose another id'));
    }
    if (disk !== '') known.disk = disk;
    if (!isMoved) return DONE;
    known.address = address;
    const streams = [...state.logStreams.values()];
    const changes = reassigned(streams.filter((it) => it.replicas.includes(id)));
    return done(0, { ...changes, moved: new Set([id]) });
  },
};
