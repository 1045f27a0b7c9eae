import type { Ports, StorageNodeId } from '../../base/index.ts';
import type { WriteAheadOptions } from '../../store/index.ts';
import type { ProducerLimits } from '../core/index.ts';
import type { MemoryLimits } from './memory-budget.ts';

export interface StorageNodeOptions extends MemoryLimits {
  ports: Ports;
  clusterId: number;
  storageNodeId: StorageNodeId;
  /** Where clients and other nodes reach this node, and where its handlers are served. */
  address: string;
  directory: string;
  /** Addresses of metadata repository members, to begin with: the node remembers those that it is told of later. */
  metadataRepository: readonly string[];
  /** Replicas that were taken away can be brought back for so long. Default: 24 hours. */
  trashKeepMs?: number;
  /** The largest record that clients may append here, in bytes. Default 1 MiB, at most 16 MiB. Alike on all nodes. */
  recordBytesMax?: number;
  /** A replica's log is freed in files of so many bytes. Default 16 MiB. */
  segmentBytes?: number;
  /** When small writes go to a write-ahead log first, and how large that is. */
  writeAhead?: Pick<WriteAheadOptions, 'togetherMin' | 'fileBytes'>;
  /** How much is remembered of producers. Default: {@link PRODUCER_LIMITS}. */
  producerLimits?: ProducerLimits;
  /**
   * When a member of the metadata repository in this process last heard the one at `address` as its leader, by the clock of this
   * process; `-Infinity` when that one does not lead. Default: there is no member in this process.
   */
  leaderHeardAt?: ((address: string) => number) | undefined;
  /** The highest feature level that this node supports, as one of an older version would. Default: all that this version knows. */
  supportedLevel?: number;
}
