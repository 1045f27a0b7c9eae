import { type Handler, handler, VarlogError } from '../../base/index.ts';
import * as mrpb from '../../wire/gen/mrpb.ts';
import { Empty } from '../../wire/gen/protobuf.ts';
import * as snpb from '../../wire/gen/snpb.ts';
import { LogStreamStatus } from '../../wire/gen/varlogpb.ts';
import { type LogStreamState, type Metadata, noLogStream } from '../core/index.ts';
import { checkAddress, checkCluster, checkIds } from '../published-ids.ts';
import { atLeader } from './at-leader.ts';
import { describeMetadata } from './describe.ts';
import type { LogStreamChanges } from './log-stream-changes.ts';
import { addPublished, removePublished } from './published-members.ts';
import { publishedNodeId, publishedNodeKey } from './published-node-id.ts';
import type { RepositoryAccess } from './repository-access.ts';
import { notLeader } from './repository-errors.ts';

const done = (): Empty => Empty.create({});

/**
 * The services that Varlog publishes for its metadata repository (`varlog.mrpb`), for its Go client and
 * tools.
 */
export function publishedHandlers(
  repository: RepositoryAccess,
  changes: LogStreamChanges,
): Handler[] {
  const service = mrpb.MetadataRepositoryService;
  return [
    handler(service.RegisterStorageNode, async ({ storageNode }) => {
      const node = given(storageNode?.storageNode, 'storage_node');
      const { storageNodeId: id, address } = node;
      checkIds({ 'storage node': id });
      checkAddress(address);
      await repository.execute({ kind: 'registerStorageNode', id, address });
      return done();
    }),
    handler(service.UnregisterStorageNode, async ({ storageNode }) => {
      const { storageNodeId: id } = given(storageNode?.storageNode, 'storage_node');
      checkIds({ 'storage node': id });
      await repository.execute({ kind: 'unregisterStorageNode', id });
      return done();
    }),
    handler(service.RegisterTopic, async ({ topicId: id }) => {
      checkIds({ topic: id });
      await repository.execute({ kind: 'registerTopic', id, acknowledge: 'majority' });
      return done();
    }),
    handler(service.UnregisterTopic, async ({ topicId: id }) => {
      checkIds({ topic: id });
      await repository.execute({ kind: 'unregisterTopic', id });
      return done();
    }),
    handler(service.RegisterLogStream, async ({ logStream }) => {
      const { logStreamId: id, topicId, replicas } = given(logStream, 'log_stream');
      checkIds({ topic: topicId, 'log stream': id });
      const nodes = replicas.map((it) => it.storageNodeId);
      await repository.execute({ kind: 'registerLogStream', id, topicId, replicas: nodes });
      return done();
    }),
    handler(service.UnregisterLogStream, async ({ logStream }) => {
      const { logStreamId: id } = given(logStream, 'log_stream');
      checkIds({ 'log stream': id });
      await repository.execute({ kind: 'unregisterLogStream', id });
      return done();
    }),
    atLeader(repository, service.UpdateLogStream, async ({ logStream }) => {
      const { logStreamId: id, replicas } = given(logStream, 'log_stream');
      checkIds({ 'log stream': id });
      await changes.setReplicas(id, () => replicas.map((it) => it.storageNodeId));
      return done();
    }),
    ...orderHandlers(repository, changes),
    ...managementHandlers(repository),
  ];
}

/** What the published interface says of the order: metadata, seals, commits and reports. */
function orderHandlers(repository: RepositoryAccess, changes: LogStreamChanges): Handler[] {
  const service = mrpb.MetadataRepositoryService;
  return [
    handler(service.GetMetadata, async () => {
      const { applied } = repository.status;
      const metadata = await repository.read((it) => describeMetadata(it, applied));
      return mrpb.GetMetadataResponse.create({ metadata });
    }),
    atLeader(repository, service.Seal, async ({ clusterId, logStreamId }) => {
      checkCluster(clusterId, repository.options.clusterId);
      checkIds({ 'log stream': logStreamId });
      return mrpb.SealResponse.create({
        status: LogStreamStatus.LS_STATUS_SEALED,
        lastCommittedGlsn: await changes.seal(logStreamId, true),
      });
    }),
    atLeader(repository, service.Unseal, async ({ clusterId, logStreamId }) => {
      checkCluster(clusterId, repository.options.clusterId);
      checkIds({ 'log stream': logStreamId });
      await changes.release(logStreamId);
      return mrpb.UnsealResponse.create({ status: LogStreamStatus.LS_STATUS_RUNNING });
    }),
    handler(service.GetCommitResult, ({ topicId, logStreamId, version }) =>
      repository.read((metadata) => commitResult(metadata, topicId, logStreamId, version)),
    ),
    atLeader(repository, service.GetReports, async ({ logStreamId }) =>
      reports(repository, logStreamId),
    ),
  ];
}

/** A commit of a log stream that is kept: the one with a version, or the last one. Nothing where none was made. */
function commitResult(
  metadata: Metadata,
  topicId: number,
  logStreamId: number,
  version: number,
): mrpb.GetCommitResultResponse {
  const { history } = logStreamOf(metadata, topicId, logStreamId);
  const commit = version === 0 ? history.last : history.from(version, 1)[0];
  if (version !== 0 && commit?.version !== version) {
    throw new VarlogError('NOT_FOUND', {
      what: `commit ${version} of log stream ${logStreamId} is not kept any more, or was not made yet`,
      next: `ask for one from ${history.firstVersion} to ${history.last?.version ?? 0}, or for the last one with 0`,
    });
  }
  if (commit === undefined) return mrpb.GetCommitResultResponse.create({});
  return mrpb.GetCommitResultResponse.create({
    commitResult: snpb.LogStreamCommitResult.create({
      logStreamId,
      topicId,
      committedLlsnOffset: commit.llsn,
      committedGlsnOffset: commit.glsn,
      committedGlsnLength: commit.count,
      version: commit.version,
      highWatermark: metadata.topics.get(topicId)!.highWatermark,
    }),
  });
}

function logStreamOf(metadata: Metadata, topicId: number, id: number): LogStreamState {
  checkIds({ topic: topicId, 'log stream': id });
  const logStream = metadata.logStreams.get(id);
  if (logStream?.topicId === topicId) return logStream;
  throw unknownLogStream(metadata, id);
}

function unknownLogStream({ logStreams }: Metadata, id: number): VarlogError {
  const { code, what, next } = noLogStream(id, logStreams.keys());
  return new VarlogError(code, { what, next });
}

function reports(repository: RepositoryAccess, logStreamId: number): mrpb.GetReportsResponse {
  const planner = repository.orderer?.planner;
  if (planner === undefined) throw notLeader(repository.status.leader?.address);
  checkIds({ 'log stream': logStreamId });
  const logStream = repository.metadata.logStreams.get(logStreamId);
  if (logStream === undefined) throw unknownLogStream(repository.metadata, logStreamId);
  const replicas: Record<string, snpb.LogStreamUncommitReport> = {};
  for (const node of logStream.replicas) {
    const report = planner.reportOf(logStreamId, node);
    if (report === undefined) continue;
    const committed = logStream.end;
    replicas[node] = snpb.LogStreamUncommitReport.create({
      logStreamId,
      uncommittedLlsnOffset: committed + 1,
      uncommittedLlsnLength: Math.max(0, report.end - committed),
      version: report.persistedVersion,
    });
  }
  const { LS_STATUS_SEALED, LS_STATUS_RUNNING } = LogStreamStatus;
  const status = logStream.sealed ? LS_STATUS_SEALED : LS_STATUS_RUNNING;
  return mrpb.GetReportsResponse.create({
    reports: mrpb.LogStreamUncommitReports.create({ replicas, status }),
  });
}

function managementHandlers(repository: RepositoryAccess): Handler[] {
  const service = mrpb.Management;
  return [
    handler(service.GetClusterInfo, async ({ clusterId: asked }) => {
      const { clusterId, memberId, replicationFactor } = repository.options;
      checkCluster(asked, clusterId);
      const { leader, applied } = repository.status;
      const own = repository.members.find((it) => it.id === memberId);
      return mrpb.GetClusterInfoResponse.create({
        clusterInfo: mrpb.ClusterInfo.create({
          clusterId,
          nodeId: own === undefined ? memberId : publishedNodeId(own),
          leader: leader === undefined ? 0 : publishedNodeId(leader),
          replicationFactor,
          members: Object.fromEntries(
            repository.members.map(({ id, address, learner }) => [
              publishedNodeKey({ id, address }),
              mrpb.ClusterInfoMember.create({
                peer: `http://${address}`,
                endpoint: address,
                learner,
              }),
            ]),
          ),
          appliedIndex: applied,
        }),
      });
    }),
    atLeader(repository, service.AddPeer, async (request, signal) => {
      // Newer clients say it in both places.
      const { clusterId, nodeId, url } = request.peer ?? request;
      checkCluster(clusterId, repository.options.clusterId);
      await addPublished(repository, { url, nodeId }, signal);
      return done();
    }),
    atLeader(repository, service.RemovePeer, async ({ clusterId, nodeId }, signal) => {
      checkCluster(clusterId, repository.options.clusterId);
      await removePublished(repository, nodeId, signal);
      return done();
    }),
  ];
}

function given<T>(value: T | null | undefined, field: string): T {
  if (value !== null && value !== undefined) return value;
  throw new VarlogError('INVALID_ARGUMENT', { what: `${field} is missing`, next: `set ${field}` });
}
