import type { VarlogError } from '../../base/index.ts';
import type { LogStreamReplica } from './replica.ts';

/**
 * A folder that must stay while a node runs. Whoever sees that something is gone says so: what is written there is
 * lost when this process ends, so that nothing more may be acknowledged.
 */
export interface NodeFolder {
  readonly directory: string;
  /** The names that must be in it now. */
  holds(): readonly string[] | 'something';
  /** Whether this process has it locked for as long as it uses it. */
  readonly isLocked: boolean;
  /** These of them are gone. */
  lost(error: VarlogError, gone: readonly string[]): void;
}

/** The folder of a storage node, and those of its replicas. One of these fails alone, and is rebuilt from the others. */
export function nodeFolders(
  directory: string,
  replicas: ReadonlyMap<number, LogStreamReplica>,
  loseAll: (error: VarlogError) => void,
): NodeFolder[] {
  const well = (): LogStreamReplica[] =>
    [...replicas.values()].filter((it) => it.failure === undefined);
  return [
    { directory, holds: () => ['identity'], isLocked: true, lost: loseAll },
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
