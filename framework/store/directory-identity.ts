import { type Disk, VarlogError } from '../base/index.ts';
import { StateFile } from './state-file.ts';

/** Whose data a folder holds. */
export interface DirectoryIdentity {
  readonly clusterId: number;
  readonly nodeId: number;
  /** What kind of node: `storage node`, `metadata repository`. */
  readonly kind: string;
}

/**
 * Makes sure that a data folder belongs to this node: writes the identity where there is none, and
 * throws `IDENTITY_MISMATCH` where there is another. Resolves with whether the folder is `new`: only
 * the caller can know if it should be.
 */
export async function claimDirectory(
  disk: Disk,
  directory: string,
  identity: DirectoryIdentity,
): Promise<{ isNew: boolean }> {
  await disk.makeDirectory(directory);
  const path = `${directory}/identity`;
  const file = await StateFile.open(disk, path, 'directory identity');
  const wanted = describe(identity);
  if (file.value === undefined) {
    await file.write(new TextEncoder().encode(wanted));
    return { isNew: true };
  }
  const found = new TextDecoder().decode(file.value);
  if (found === wanted) return { isNew: false };
  throw new VarlogError('IDENTITY_MISMATCH', {
    what: `${directory} holds the data of ${found}, this is ${wanted}`,
    because: 'the folder was copied or swapped, or the configuration names the wrong id',
    next: 'correct the id or the folder',
    details: { directory, expected: wanted, found },
  });
}

function describe({ clusterId, nodeId, kind }: DirectoryIdentity): string {
  return `${kind} ${nodeId} of cluster ${clusterId}`;
}
