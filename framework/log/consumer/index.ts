/**
 * Consumers: handlers that are given every record of a topic, and remember by name how far they are.
 *
 * ```ts
 * const billing = topic.process({ name: 'billing', onError: 'park' }, async (entry) => {
 *   await bill(entry.value);
 * });
 * await billing.close();
 * ```
 *
 * They share nothing: each is given all records. Records of a topic are not divided among several processes.
 */
export {
  type Checkpoint,
  type CheckpointOwner,
  type CheckpointStore,
  checkOwner,
  type TransactionalCheckpointStore,
} from './checkpoint-store.ts';
export { type CloseOptions, Consumer } from './consumer.ts';
export {
  type ConsumerContext,
  type ConsumerOptions,
  checkConsumerName,
  checkedOptions,
  type OnHandlerError,
  type RecordHandler,
  type WithCheckpoint,
} from './consumer-options.ts';
export type { ConsumerRegistry, RegisteredConsumer } from './consumer-registry.ts';
export type { ConsumerSource } from './consumer-source.ts';
export type { ConsumerHealth, ConsumerStatus, RetriedRecord } from './consumer-status.ts';
export { FileCheckpointStore } from './file-checkpoint.ts';
export { isDone, type TransactionMarks, withDone, withParked } from './transaction-marks.ts';
