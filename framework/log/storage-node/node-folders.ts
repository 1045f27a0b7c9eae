import type { VarlogError } from '../../base/index.ts';
import type { WatchedFolder, WriteAheadDisk } from '../../store/index.ts';
import type { LogStreamReplica } from './replica.ts';

/** The folder of a storage node, and those of its replicas. One of these fails alone, and is rebuilt from the others. */
export function nodeFolders(
  directory: string,
  ahead: Pick<WriteAheadDisk, 'holds'>,
  replicas: ReadonlyMap<number, LogStreamReplica>,
  loseAll: (error: VarlogError) => void,
): WatchedFolder[] {
  const well = (): LogStreamReplica[] =>
    [...replicas.values()].filter((it) => it.failure === undefined);
  return [
    { directory, holds: () => ['identity', ...ahead.holds], isLocked: true, lost: loseAll },
    {
      directory: `${directory}/replicas`,
      holds: () => well().map((it) => String(it.logStreamId)),
      isLocked: false,
      lost: (error, gone) => {
        for (const it of gone) replicas.get(Number(it))?.fail(error);
      },
    },
  ];
}
