/**
 * The metadata repository: a Raft group that holds the cluster's metadata and decides the order of
 * every topic.
 *
 * ```ts
 * const repository = await startMetadataRepository({
 *   ports, clusterId: 1, memberId: 1, members: [{ id: 1, address: '127.0.0.1:9092' }],
 *   directory: 'metadata', replicationFactor: 1,
 * });
 * await ports.network.serve('127.0.0.1:9092', repository.handlers);
 * ```
 *
 * It sees counts, never payloads, and it does not decide when to seal or where to place: that is
 * `admin`.
 */
export { atLeader } from './at-leader.ts';
export { describeLogStream, describeTopic } from './describe.ts';
export { describeHealth } from './describe-health.ts';
export { Orderer } from './orderer.ts';
export { placementView } from './placement-view.ts';
export {
  addPublished,
  checkOneAddress,
  describeMember,
  publishedMember,
  removePublished,
  removePublishedAt,
} from './published-members.ts';
export { publishedNodeId, publishedNodeKey } from './published-node-id.ts';
export {
  MetadataRepository,
  startMetadataRepository,
} from './repository.ts';
export type { KnownMember, MemberOrder, MetadataRepositoryOptions } from './repository-access.ts';
