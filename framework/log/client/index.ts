/**
 * The client of a cluster: appends, reads, subscriptions, trimming, topics.
 *
 * ```ts
 * const varlog = await Varlog.connect({ endpoints: ['127.0.0.1:9092'], ports });
 * const topic = varlog.topic(1);
 * const { glsn } = await topic.append('hello');
 * for await (const entry of topic.tail({ from: glsn })) console.log(entry.text());
 * ```
 *
 * It keeps nothing on disk: where to go on after a restart is for its user to remember.
 */

export {
  type Checkpoint,
  type CheckpointOwner,
  type CheckpointStore,
  type CloseOptions,
  Consumer,
  type ConsumerContext,
  type ConsumerHealth,
  type ConsumerOptions,
  type ConsumerStatus,
  checkOwner,
  type OnHandlerError,
  type RecordHandler,
  type RetriedRecord,
  type TransactionalCheckpointStore,
  type WithCheckpoint,
} from '../consumer/index.ts';
export type { ParkedRecord, Retention } from '../core/index.ts';
export { type AppendInput, type RecordWith, record } from './append-batch.ts';
export type { AppendReceipt } from './append-receipt.ts';
export type { AppenderLimits } from './appender.ts';
export type { AppendPart, AtomicAck } from './atomic-append.ts';
export type { CallLimits } from './call-limit.ts';
export type { LogStreamDescription, TopicDescription } from './catalog.ts';
export type { ClusterMembers, MemberAddress } from './cluster-members.ts';
export type {
  ClusterStatus,
  LogStreamReplicaStatus,
  LogStreamStatus,
  MemberStatus,
  StorageNodeStatus,
  TopicStatus,
} from './cluster-status.ts';
export type { OnDecodeError } from './decoding.ts';
export { type Decode, type Decoded, Entry, EntryBatch } from './entry.ts';
export { EntryObservable, type FlowLimits } from './entry-observable.ts';
export type { Expectation } from './expectation.ts';
export type { ExportHeader, ExportProgress, ExportSummary } from './export-format.ts';
export { checkExport, type ExportOptions, resumableExport, TopicExport } from './export-topic.ts';
export type { FenceOptions } from './fence.ts';
export type { Freshness } from './freshness.ts';
export { type HandleOptions, handle } from './handle.ts';
export type { ImportedTopic } from './import-topic.ts';
export type { ParkedChoice } from './parked-choice.ts';
export type { AppendAck } from './pending-append.ts';
export { type AtTime, after, type From } from './position-option.ts';
export { type ProducerAck, TopicProducer } from './producer.ts';
export {
  bytes,
  json,
  type MessageType,
  protobuf,
  type RecordCodec,
  type RecordInput,
  text,
} from './record-codec.ts';
export { type HeadersInput, type RecordAttributes, RecordHeaders } from './record-headers.ts';
export type {
  AppendOptions,
  ReadOptions,
  RecordLog,
  RecordProducer,
  TailOptions,
  TopicOptions,
} from './record-log.ts';
export type { ResumeToken } from './resume-token.ts';
export type { StandardSchema } from './standard-schema.ts';
export type { SubscriptionStatus } from './status.ts';
export { Subscription } from './subscription.ts';
export { Topic, type TopicHold } from './topic.ts';
export { type ConsumerDescription, TopicConsumers } from './topic-consumers.ts';
export type { LogStreamFence, TopicKeeper, TopicUsage } from './topic-usage.ts';
export {
  type ClientPorts,
  type ConnectOptions,
  type CreateTopicOptions,
  type ImportOptions,
  Varlog,
} from './varlog.ts';
