import {
  checkCount,
  checkNumber,
  type OrderedLog,
  onAbort,
  type Ports,
  VarlogError,
} from '../base/index.ts';
import { ForkedLog } from './forked-log.ts';
import { endOf, snapshotsUpTo } from './replayed-machine.ts';
import { Replica } from './replica.ts';
import type { ReplicaOptions } from './replica-options.ts';
import type { SnapshotStore } from './snapshot-store.ts';

const FORK_BYTES_MAX = 64 * 1024 * 1024;

/** What a replica does for others, and a fork must not. */
const OF_REPLICAS = ['snapshots', 'snapshotEvery', 'trimLog', 'checkEvery', 'readOnly'] as const;

/** What a fork is started with: a replica's options, less what a replica keeps or writes for others. */
export interface ForkOptions<Command, Result, Snapshot, Machine>
  extends Omit<
    ReplicaOptions<Command, Result, Snapshot, Machine>,
    'log' | (typeof OF_REPLICAS)[number]
  > {
  /** The last position that the fork has in common with the log. Default: the tail. */
  at?: number;
  /**
   * Begins with the snapshot that is stored there, which is left as it is: the newest that is not behind `at`. Default: with the
   * log's first entry.
   */
  from?: Pick<SnapshotStore, 'load'>;
  /** Bytes of commands that the fork may have of its own. Default: 64 MiB. */
  forkBytesMax?: number;
  /** Gives the start up: the fork is closed then. A fork that was started does not heed it. */
  signal?: AbortSignal;
}

/** For `startFork`. */
export async function openFork<Command, Result, Snapshot, Machine>(
  log: OrderedLog,
  options: ForkOptions<Command, Result, Snapshot, Machine>,
  ports: Pick<Ports, 'clock' | 'random'>,
): Promise<Replica<Command, Result, Machine>> {
  const { at: wanted, from, forkBytesMax = FORK_BYTES_MAX, signal, ...others } = options;
  for (const option of OF_REPLICAS) if (option in options) throw notOfForks(option);
  checkNumber(forkBytesMax, 'forkBytesMax', 0);
  checkCount(wanted, 'at', 0);
  const at = await endOf({ log, signal }, wanted);
  const snapshots = from && { ...snapshotsUpTo(from, at), save: keepsNone };
  const fork = new Replica<Command, Result, Machine>(
    {
      ...others,
      log: new ForkedLog(log, at, forkBytesMax),
      ...(snapshots && { snapshots }),
    } as unknown as ReplicaOptions<Command, Result, unknown, Machine>,
    ports,
  );
  const forget = onAbort(signal, () => void fork.close());
  try {
    await fork.start();
    await fork.caughtUp({ timeoutMs: Number.POSITIVE_INFINITY });
    return fork;
  } catch (error) {
    await fork.close();
    signal?.throwIfAborted();
    throw error;
  } finally {
    forget();
  }
}

function notOfForks(option: string): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', {
    what: `a fork takes no \`${option}\``,
    because: 'it keeps nothing, and writes nothing for others',
    next: 'leave it out; a stored snapshot to begin with is given as `from`',
  });
}

async function keepsNone(): Promise<never> {
  throw new VarlogError('FAILED_PRECONDITION', {
    what: 'a fork keeps no snapshots',
    because: 'its state is one that no replica of the log has',
    next: 'look at it by queries',
  });
}
