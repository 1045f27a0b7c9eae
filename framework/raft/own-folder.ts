import type { DurationHistogram, Ports, VarlogError } from '../base/index.ts';
import { type DiskGuard, FolderWatch } from '../store/index.ts';

/**
 * Watches the folder that a member, or a host of members, has for itself. Once it is taken away nothing is written at its
 * path any more, and `lost` is called.
 */
export function watchOwnFolder(
  directory: string,
  parts: { ports: Pick<Ports, 'clock' | 'logger'>; disk: DiskGuard; syncs: DurationHistogram },
  lost: (error: VarlogError) => void,
): FolderWatch {
  const { ports, disk, syncs } = parts;
  const folder = {
    directory,
    holds: () => 'something' as const,
    isLocked: true,
    lost: (error: VarlogError) => {
      disk.lose(error);
      lost(error);
    },
  };
  return new FolderWatch([folder], { ...ports, disk }, () => syncs.total);
}
