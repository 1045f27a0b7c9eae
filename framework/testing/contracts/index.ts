/**
 * What the implementations of a port owe their users, as tests. They are for any test runner, and for
 * implementations of your own: a log below a state machine, a store of snapshots, of objects or of checkpoints, a disk, a network, a clock.
 *
 * ```ts
 * import { describe, test } from 'node:test'; // with jest and others they are there
 * import { orderedLogContract } from 'varlog/testing/contracts';
 *
 * describe('my log', () => {
 *   const make = async () => ({ log: await MyLog.open(), close: async () => {} });
 *   for (const { title, run } of orderedLogContract(make)) test(title, run);
 * });
 * ```
 *
 * They register nothing by themselves, and know no test runner: a test that fails rejects with an `AssertionError`.
 * What an implementation need not do, such as compaction, is not asked of one that does not offer it; `replicaContract` is
 * told what that is, and says it in the titles.
 */
export { type CheckpointStoreUnderTest, checkpointStoreContract } from './checkpoint-store.ts';
export { type ClockUnderTest, clockContract } from './clock.ts';
export type { Closable, ContractTest } from './contract.ts';
export { type DiskUnderTest, diskContract } from './disk.ts';
export type { OptionalLogMethod } from './lacks.ts';
export { type NetworkUnderTest, networkContract } from './network.ts';
export { type ObjectStoreUnderTest, objectStoreContract } from './object-store.ts';
export { type LogUnderTest, orderedLogContract } from './ordered-log.ts';
export {
  type LogProducer,
  type ProducedRecords,
  type ProducersUnderTest,
  producerContract,
} from './producer.ts';
export { recordLogContract } from './record-log.ts';
export type { RecordLogUnderTest } from './record-log-under-test.ts';
export { type ReplicaContractOptions, replicaContract } from './replica.ts';
export { type SnapshotStoreUnderTest, snapshotStoreContract } from './snapshot-store.ts';
