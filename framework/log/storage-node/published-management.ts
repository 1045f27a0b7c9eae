import { type Handler, handler, sleep, VarlogError } from '../../base/index.ts';
import * as admpb from '../../wire/gen/admpb.ts';
import * as mrpb from '../../wire/gen/mrpb.ts';
import { Empty } from '../../wire/gen/protobuf.ts';
import * as snpb from '../../wire/gen/snpb.ts';
import { LogStreamStatus, type LogStreamReplica as WireReplica } from '../../wire/gen/varlogpb.ts';
import { checkCluster, checkIds, checkPositions } from '../published-ids.ts';
import { LOG_TIMES } from '../timing.ts';
import { describeNode } from './published-description.ts';
import type { LogStreamReplica } from './replica.ts';
import { noReplica } from './replica-errors.ts';
import type { ServedNode } from './served-node.ts';

const POLL_MS = 10;
const { LS_STATUS_SEALED, LS_STATUS_SEALING } = LogStreamStatus;

/** A request about one log stream, as the calls of this service name it. */
interface About {
  readonly clusterId: number;
  readonly storageNodeId: number;
  readonly topicId: number;
  readonly logStreamId: number;
}

/**
 * The service `varlog.snpb.Management`. What it is asked to change is decided where everything is decided, by the
 * leader of the metadata repository: a node obeys that one only, so here it passes on what it is asked.
 */
export function managementHandlers(node: ServedNode): Handler[] {
  const service = snpb.Management;
  return [
    handler(service.GetMetadata, async ({ clusterId }) => {
      checkCluster(clusterId, node.clusterId);
      return snpb.GetMetadataResponse.create({ storageNodeMetadata: await describeNode(node) });
    }),
    handler(service.Trim, async ({ topicId, lastGlsn }) => {
      checkIds({ topic: topicId });
      checkPositions({ GLSN: lastGlsn });
      await node.trim(topicId, lastGlsn);
      const own = node.status.replicas.filter((it) => it.topicId === topicId);
      const results = own.map(({ logStreamId, failure = '' }) => [logStreamId, failure]);
      return snpb.TrimResponse.create({ results: Object.fromEntries(results) });
    }),
    ...sealHandlers(node),
    ...replicaHandlers(node),
  ];
}

/** Sealing, opening and catching up. */
function sealHandlers(node: ServedNode): Handler[] {
  const service = snpb.Management;
  return [
    handler(service.Seal, async (request) => {
      const replica = replicaOf(node, request);
      const { logStreamId } = request;
      const { lastCommittedGlsn } = await node.ask(
        mrpb.MetadataRepositoryService.Seal,
        mrpb.SealRequest.create({ clusterId: node.clusterId, logStreamId }),
      );
      const isSealed = await sealed(node, replica);
      return snpb.SealResponse.create({
        status: isSealed ? LS_STATUS_SEALED : LS_STATUS_SEALING,
        lastCommittedGlsn: isSealed ? lastCommittedGlsn : lastGlsnOf(replica),
      });
    }),
    handler(service.Unseal, async (request) => {
      const replica = replicaOf(node, request);
      checkReplicas(node, replica, request.replicas);
      const { logStreamId } = request;
      await node.ask(
        mrpb.MetadataRepositoryService.Unseal,
        mrpb.UnsealRequest.create({ clusterId: node.clusterId, logStreamId }),
      );
      return Empty.create({});
    }),
    handler(service.Sync, async (request) => {
      replicaOf(node, request);
      const { topicId, logStreamId, backup } = request;
      if (backup === null) throw invalid('backup is missing', 'name the node that is to catch up');
      checkIds({ 'storage node': backup.storageNodeId });
      const { status } = await node.ask(
        admpb.ClusterManager.Sync,
        admpb.SyncRequest.create({
          topicId,
          logStreamId,
          srcStorageNodeId: node.storageNodeId,
          dstStorageNodeId: backup.storageNodeId,
        }),
      );
      return snpb.SyncResponse.create({ status });
    }),
  ];
}

/** Replicas come and go by the metadata alone: absence there is no order to remove one. */
function replicaHandlers(node: ServedNode): Handler[] {
  const service = snpb.Management;
  return [
    handler(service.AddLogStreamReplica, async (request) => {
      check(node, request);
      const { logStreamId } = request;
      if (node.wants(logStreamId)) {
        throw new VarlogError('ALREADY_EXISTS', {
          what: `storage node ${node.storageNodeId} has a replica of log stream ${logStreamId} already`,
        });
      }
      throw new VarlogError('FAILED_PRECONDITION', {
        what: `the metadata does not say that storage node ${node.storageNodeId} is to hold log stream ${logStreamId}`,
        next: 'name the node in AddLogStream or UpdateLogStream of the cluster manager, or in RegisterLogStream of the metadata repository: it makes its replica by itself then',
      });
    }),
    handler(service.RemoveLogStream, async (request) => {
      check(node, request);
      const { topicId, logStreamId } = request;
      const isHere = node.status.replicas.some((it) => it.logStreamId === logStreamId);
      if (!isHere && !node.wants(logStreamId)) {
        throw noReplica(topicId, logStreamId, node.storageNodeId);
      }
      const what = `the replica of log stream ${logStreamId} on storage node ${node.storageNodeId}`;
      throw new VarlogError(
        'FAILED_PRECONDITION',
        node.wants(logStreamId)
          ? {
              what: `${what} is part of the log stream`,
              next: 'take it out with UpdateLogStream, or remove the log stream with UnregisterLogStream: the node removes it by itself then',
            }
          : {
              what: `${what} is not mentioned in the metadata, which never says that it is to go`,
              next: 'make sure that nobody needs it, stop the node, and move the folder of the replica away',
            },
      );
    }),
  ];
}

/** Throws when a request is for another cluster or node, or names no log stream. */
function check(node: ServedNode, request: About): void {
  const { clusterId, storageNodeId, topicId, logStreamId } = request;
  checkCluster(clusterId, node.clusterId);
  checkIds({ topic: topicId, 'log stream': logStreamId });
  if (storageNodeId === 0 || storageNodeId === node.storageNodeId) return;
  throw invalid(
    `this is storage node ${node.storageNodeId}, and not ${storageNodeId}`,
    'check the id and the address',
  );
}

function replicaOf(node: ServedNode, request: About): LogStreamReplica {
  check(node, request);
  return node.find(request.topicId, request.logStreamId);
}

/** Whether a replica has all of its sealed log stream; waits a while for that. */
async function sealed(node: ServedNode, { core }: LogStreamReplica): Promise<boolean> {
  const { clock } = node.ports;
  const deadline = clock.now() + LOG_TIMES.sealedTimeoutMs;
  while (core.state !== 'sealed' && clock.now() < deadline) await sleep(clock, POLL_MS);
  return core.state === 'sealed';
}

function lastGlsnOf({ storage }: LogStreamReplica): number {
  const { last } = storage.commits;
  return last === undefined ? 0 : last.glsn + last.count - 1;
}

/** Throws unless these are the replicas that the log stream has: who they are is not changed by opening it. */
function checkReplicas(
  node: ServedNode,
  replica: LogStreamReplica,
  given: readonly WireReplica[],
): void {
  const ids = given.map((it) => it.storageNode?.storageNodeId ?? 0);
  if (new Set(ids).size !== ids.length) throw invalid('a replica is named twice', 'name each once');
  if (!ids.includes(node.storageNodeId)) {
    throw invalid(
      `no replica: storage node ${node.storageNodeId} is not among them`,
      'name it too',
    );
  }
  for (const { topicLogStream } of given) {
    if (topicLogStream?.logStreamId === replica.logStreamId) continue;
    throw invalid('a replica is of another log stream', 'name the replicas of one log stream');
  }
  const own = [node.storageNodeId, ...replica.peers.map((it) => it.storageNodeId)];
  if (own.length === ids.length && own.every((it) => ids.includes(it))) return;
  throw new VarlogError('FAILED_PRECONDITION', {
    what: `log stream ${replica.logStreamId} has its replicas on the storage nodes ${own.sort((a, b) => a - b).join(', ')}`,
    next: 'change them with UpdateLogStream of the cluster manager first',
  });
}

function invalid(what: string, next: string): VarlogError {
  return new VarlogError('INVALID_ARGUMENT', { what, next });
}
