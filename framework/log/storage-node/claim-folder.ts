import type { DirectoryLock } from '../../base/index.ts';
import { DirectoryIdentity } from '../../store/index.ts';
import { nobodys } from './replica-errors.ts';
import type { StorageNodeOptions } from './storage-node-options.ts';

/** The folder of a storage node, taken for this process. */
export interface ClaimedFolder {
  readonly lock: DirectoryLock;
  readonly identity: DirectoryIdentity;
  /** Names of what lies where the replicas are. */
  readonly found: readonly string[];
}

/** Takes the folder of a storage node, or makes it. Throws when it is another node's, or in use. */
export async function claimFolder(options: StorageNodeOptions): Promise<ClaimedFolder> {
  const { directory, clusterId, storageNodeId: nodeId } = options;
  const { disk, random } = options.ports;
  await disk.makeDirectory(directory);
  const lock = await disk.lock(directory);
  try {
    const found = await disk.list(`${directory}/replicas`);
    if (found.length > 0 && !(await disk.list(directory)).includes('identity')) {
      throw nobodys(disk.pathOf(directory));
    }
    const owner = { kind: 'storage node', nodeId, clusterId };
    const identity = await DirectoryIdentity.claim(disk, directory, owner, random.id());
    return { lock, identity, found };
  } catch (error) {
    await lock.release();
    throw error;
  }
}
