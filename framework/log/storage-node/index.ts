/**
 * Storage nodes: replicas of log streams on disk, appends, replication and reads.
 *
 * ```ts
 * const node = await startStorageNode({
 *   ports, clusterId: 1, storageNodeId: 1, address: '127.0.0.1:9092', directory: 'storage',
 *   metadataRepository: ['127.0.0.1:9092'],
 * });
 * await ports.network.serve('127.0.0.1:9092', node.handlers);
 * ```
 *
 * It does not know the order of its records until the metadata repository says so, and it does not
 * decide who is primary.
 */
export type { StationHistogram } from '../station-histograms.ts';
export { CACHE_BYTES, PENDING_BYTES } from './memory-budget.ts';
export type { LocalReplicaStatus, NodeStatus } from './node-status.ts';
export { StorageNode, startStorageNode } from './storage-node.ts';
export type { StorageNodeOptions } from './storage-node-options.ts';
