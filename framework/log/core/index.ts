/**
 * The ordering protocol as pure state machines: messages and commands in, decisions out; no I/O, no
 * clock, no promise. Everything that makes the log correct is here and can be walked through step by
 * step.
 *
 * ```ts
 * const metadata = new Metadata();
 * metadata.apply({ kind: 'registerStorageNode', id: 1, address: 'a:1' });
 * metadata.apply({ kind: 'registerTopic', id: 1, acknowledge: 'majority' });
 * metadata.apply({ kind: 'registerLogStream', id: 1, topicId: 1, replicas: [1] });
 * metadata.apply({ kind: 'unseal', id: 1, epoch: 1, members: [1], disks: [''], primaryProcess: 'a' });
 *
 * const planner = new CutPlanner(metadata);
 * planner.report(1, { logStreamId: 1, epoch: 1, end: 3, persistedVersion: 0, state: 'open' });
 * const { changes } = metadata.apply({ kind: 'cut', entries: planner.plan() });
 * changes.commits; // records 1…3 of log stream 1 have the GLSNs 1…3
 * ```
 *
 * It does not store, send or wait: that is what `storage-node` and `metadata-repository` do.
 */
export * from './append-condition.ts';
export { checkRebalanceBytes, REBALANCE_BYTES } from './byte-balance.ts';
export type { Applied, CommandDefinition, Sender } from './command-definition.ts';
export { cut, type SetReplicas, type Unseal } from './commands/index.ts';
export * from './commit-history.ts';
export * from './cut.ts';
export * from './cut-planner.ts';
export * from './feature-level.ts';
export { type Claim, holdsOf } from './holds.ts';
export * from './id-pool.ts';
export * from './key-hash.ts';
export * from './key-table.ts';
export { lastCopiesOn } from './last-copy.ts';
export * from './loads.ts';
export { type LogStreamState, stayingOf } from './log-stream-state.ts';
export * from './metadata.ts';
export * from './metadata-changes.ts';
export * from './metadata-command.ts';
export * from './metadata-result.ts';
export * from './metadata-state.ts';
export * from './parts-to-enter.ts';
export * from './placement.ts';
export * from './producer-refusal.ts';
export * from './producer-table.ts';
export * from './replica.ts';
export * from './replica-stage.ts';
export * from './retention.ts';
export { refusalOfDisk, type StorageNodeState } from './storage-nodes.ts';
export * from './topic-consumers.ts';
export type { Acknowledge, Hold, TopicState } from './topic-state.ts';
export * from './waiting-parts.ts';
