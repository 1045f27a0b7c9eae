import { type Handler, handler, type Ports, VarlogError } from '../../base/index.ts';
import * as admpb from '../../wire/gen/admpb.ts';
import * as snpb from '../../wire/gen/snpb.ts';
import * as varlogpb from '../../wire/gen/varlogpb.ts';
import type { LogStreamState } from '../core/index.ts';
import {
  atLeader,
  describeLogStream,
  type MetadataRepository,
} from '../metadata-repository/index.ts';
import { ascending, checkIds } from '../published-ids.ts';
import { callNode } from './node-calls.ts';
import { place } from './placement.ts';
import { nothing } from './refusals.ts';
import { silentReplica } from './silent-replica.ts';

const service = admpb.ClusterManager;
const { LS_STATUS_SEALED } = varlogpb.LogStreamStatus;
const { IN_PROGRESS, COMPLETE } = snpb.SyncState;

/** What `varlog.admpb.ClusterManager` says of log streams. */
export function logStreamHandlers(
  repository: MetadataRepository,
  ports: Ports,
  replicationFactor: number,
): Handler[] {
  const streams = new LogStreams(repository, ports);
  const { changes } = repository;
  return [
    handler(service.GetLogStream, async ({ topicId, logStreamId }) =>
      admpb.GetLogStreamResponse.create({
        logStream: await streams.describe(topicId, logStreamId),
      }),
    ),
    handler(service.ListLogStreams, async ({ topicId }) => {
      checkIds({ topic: topicId });
      const logStreams = await repository.read((metadata) => {
        const topic = metadata.topics.get(topicId);
        if (topic === undefined) throw nothing('TOPIC_NOT_FOUND', 'topic', topicId);
        return ascending(topic.logStreams).map((id) => describeLogStream(metadata, id)!);
      });
      return admpb.ListLogStreamsResponse.create({ logStreams });
    }),
    atLeader(repository, service.AddLogStream, async (request) => {
      const { topicId, replicas, replicationFactor: wanted } = request;
      checkIds({ topic: topicId });
      const given = replicas.map((it) => it.storageNodeId);
      const factor = wanted === 0 ? streams.factorOf(topicId, replicationFactor) : wanted;
      const id = await streams.register(topicId, given.length > 0 ? given : factor);
      await changes.opened(id);
      return admpb.AddLogStreamResponse.create({ logStream: await streams.describe(topicId, id) });
    }),
    atLeader(repository, service.UpdateLogStream, async (request) => {
      const { topicId, logStreamId: id } = request;
      const { replicas } = await streams.find(topicId, id);
      const popped = request.poppedReplica?.storageNodeId;
      const pushed = request.pushedReplica?.storageNodeId;
      if (!isDone(replicas, popped, pushed)) {
        await changes.setReplicas(id, (now) => swapped(id, now, popped, pushed));
      }
      return admpb.UpdateLogStreamResponse.create({
        logStream: await streams.describe(topicId, id),
      });
    }),
    handler(service.UnregisterLogStream, async ({ topicId, logStreamId: id }) => {
      await streams.find(topicId, id);
      await repository.execute({ kind: 'unregisterLogStream', id });
      return admpb.UnregisterLogStreamResponse.create({});
    }),
    atLeader(repository, service.RemoveLogStreamReplica, async (request) => {
      const { storageNodeId: node, topicId, logStreamId: id } = request;
      checkIds({ 'storage node': node, topic: topicId, 'log stream': id });
      await streams.removed(id, node);
      return admpb.RemoveLogStreamReplicaResponse.create({});
    }),
    atLeader(repository, service.Seal, async ({ topicId, logStreamId: id }) => {
      await streams.find(topicId, id);
      const sealedGlsn = await changes.seal(id, true);
      await changes.allSealed(id);
      return admpb.SealResponse.create({ logStreams: await streams.replicasOf(id), sealedGlsn });
    }),
    atLeader(repository, service.Unseal, async ({ topicId, logStreamId: id }) => {
      await streams.find(topicId, id);
      await changes.release(id);
      return admpb.UnsealResponse.create({ logStream: await streams.describe(topicId, id) });
    }),
    atLeader(repository, service.Sync, async (request) => {
      const { topicId, logStreamId: id, srcStorageNodeId, dstStorageNodeId } = request;
      checkIds({ 'storage node': srcStorageNodeId });
      checkIds({ 'storage node': dstStorageNodeId });
      const stream = await streams.find(topicId, id);
      const status = await streams.sync(stream, srcStorageNodeId, dstStorageNodeId);
      return admpb.SyncResponse.create({ status });
    }),
  ];
}

/** What the leader and the nodes together know of log streams. */
class LogStreams {
  private readonly repository: MetadataRepository;
  private readonly ports: Ports;
  /** Where those will be that are being made. */
  private readonly placing = new Set<readonly number[]>();

  constructor(repository: MetadataRepository, ports: Ports) {
    this.repository = repository;
    this.ports = ports;
  }

  async find(topicId: number, id: number): Promise<LogStreamState> {
    checkIds({ topic: topicId, 'log stream': id });
    const stream = await this.repository.read((it) => it.logStreams.get(id));
    if (stream?.topicId === topicId) return stream;
    throw nothing('LOG_STREAM_NOT_FOUND', `log stream of topic ${topicId} with id`, id);
  }

  async describe(topicId: number, id: number): Promise<varlogpb.LogStreamDescriptor> {
    await this.find(topicId, id);
    return describeLogStream(this.repository.metadata, id)!;
  }

  /** Makes a log stream on these nodes, or on so many. */
  async register(topicId: number, wanted: readonly number[] | number): Promise<number> {
    const { repository, placing } = this;
    const { metadata } = repository;
    const view = { metadata, isUp: (node: number) => this.isAlive(node) };
    const replicas = typeof wanted === 'number' ? place(view, wanted, placing) : [...wanted];
    placing.add(replicas);
    try {
      return await repository.execute({ kind: 'registerLogStream', id: 0, topicId, replicas });
    } finally {
      placing.delete(replicas);
    }
  }

  /** How many replicas a new log stream gets: as many as are usual, and no fewer than others of its topic. */
  factorOf(topicId: number, usual: number): number {
    const { topics, logStreams } = this.repository.metadata;
    const ids = topics.get(topicId)?.logStreams ?? [];
    return Math.max(usual, ...ids.map((id) => logStreams.get(id)!.replicationFactor));
  }

  /** Each replica as it says itself; of one that does not answer, that it is not known to be sealed. */
  async replicasOf(id: number): Promise<snpb.LogStreamReplicaMetadataDescriptor[]> {
    const { metadata } = this.repository;
    const stream = metadata.logStreams.get(id);
    if (stream === undefined) return [];
    return Promise.all(
      ascending(stream.replicas).map((node) =>
        this.replica(stream, node).catch(() => silentReplica(metadata, stream, node)),
      ),
    );
  }

  /** How far `target` has come with what `source` has of a sealed log stream. It catches up by itself. */
  async sync(stream: LogStreamState, source: number, target: number): Promise<snpb.SyncStatus> {
    const { id, replicas, sealed, end, lastGlsn } = stream;
    for (const node of [source, target]) {
      if (replicas.includes(node)) continue;
      throw nothing('NOT_FOUND', `replica of log stream ${id} on storage node`, node);
    }
    if (source === target) {
      throw new VarlogError('INVALID_ARGUMENT', {
        what: `storage node ${source} is to catch up with itself`,
        next: 'name two replicas',
      });
    }
    if (!sealed) {
      throw new VarlogError('FAILED_PRECONDITION', {
        what: `log stream ${id} is running`,
        next: 'seal it first; while it runs, its replicas catch up by themselves',
      });
    }
    const [from, to] = await Promise.all([
      this.replica(stream, source),
      this.replica(stream, target),
    ]);
    if (!holdsAll(stream, from)) {
      throw new VarlogError('FAILED_PRECONDITION', {
        what: `storage node ${source} does not hold all of log stream ${id} itself`,
        next: 'name a replica that is sealed',
      });
    }
    const { localLowWatermark: first } = from;
    const { localHighWatermark: current } = to;
    const position = (at: varlogpb.LogSequenceNumber | null): snpb.SyncPosition =>
      snpb.SyncPosition.create({ llsn: at?.llsn ?? 0, glsn: at?.glsn ?? 0 });
    return snpb.SyncStatus.create({
      state: holdsAll(stream, to) ? COMPLETE : IN_PROGRESS,
      first: position(first),
      last: snpb.SyncPosition.create({ llsn: end, glsn: lastGlsn }),
      current: position(current),
    });
  }

  /** Waits until a replica that was taken out is gone from its node, which removes it by itself. */
  async removed(id: number, node: number): Promise<void> {
    const { storageNodes, logStreams } = await this.repository.read((it) => it);
    const address = storageNodes.get(node)?.address;
    if (address === undefined) throw nothing('NOT_FOUND', 'storage node', node);
    if (logStreams.get(id)?.replicas.includes(node) === true) {
      throw new VarlogError('FAILED_PRECONDITION', {
        what: `storage node ${node} holds a replica that is part of log stream ${id}`,
        next: 'take it out with UpdateLogStream: the node removes it by itself then',
      });
    }
    await this.repository.changes.removalConfirmed(id, node);
    const found = await this.ask(address, snpb.Management.GetMetadata, {
      clusterId: this.repository.options.clusterId,
    });
    const replicas = found.storageNodeMetadata?.logStreamReplicas ?? [];
    const isThere = replicas.some((it) => it.logStreamReplica?.topicLogStream?.logStreamId === id);
    if (!isThere) return;
    throw new VarlogError('FAILED_PRECONDITION', {
      what: `storage node ${node} has a replica of log stream ${id} which the metadata does not mention: that is no order to remove it`,
      next: 'make sure that nobody needs it, stop the node, and move the folder of the replica away',
    });
  }

  private isAlive(node: number): boolean {
    return this.repository.orderer?.isUp(node) === true;
  }

  private async replica(
    { id, topicId }: LogStreamState,
    node: number,
  ): Promise<snpb.LogStreamReplicaMetadataDescriptor> {
    const address = this.repository.metadata.storageNodes.get(node)?.address;
    if (address === undefined || !this.isAlive(node)) {
      throw new VarlogError('UNAVAILABLE', {
        what: `storage node ${node} is not up`,
        next: 'start it, and try again',
      });
    }
    const method = snpb.LogIO.LogStreamReplicaMetadata;
    const found = await this.ask(address, method, { topicId, logStreamId: id });
    return found.logStreamReplica!;
  }

  private ask<Request, Response>(
    address: string,
    method: Parameters<typeof callNode<Request, Response>>[2],
    request: Request,
  ): Promise<Response> {
    return callNode(this.ports, address, method, request, this.repository.cluster);
  }
}

function holdsAll(
  { end }: LogStreamState,
  { status, end: own }: snpb.LogStreamReplicaMetadataDescriptor,
): boolean {
  return status === LS_STATUS_SEALED && own === end;
}

/** Whether the replicas are what a swap would make of them already. */
function isDone(replicas: readonly number[], popped?: number, pushed?: number): boolean {
  if (popped === undefined || pushed === undefined || popped === pushed) return false;
  return !replicas.includes(popped) && replicas.includes(pushed);
}

/** `replicas` without the one that is taken out, and with the one that is put in. */
function swapped(
  id: number,
  replicas: readonly number[],
  popped?: number,
  pushed?: number,
): number[] {
  if (popped === pushed) {
    throw new VarlogError('INVALID_ARGUMENT', {
      what: `log stream ${id} would stay as it is`,
      next: 'name different nodes to take out and to put in',
    });
  }
  const refuse = (node: number, how: string): VarlogError =>
    new VarlogError('FAILED_PRECONDITION', {
      what: `storage node ${node} ${how} a replica of log stream ${id}`,
      next: 'describe the log stream',
    });
  if (popped !== undefined && !replicas.includes(popped)) throw refuse(popped, 'does not hold');
  if (pushed !== undefined && replicas.includes(pushed)) throw refuse(pushed, 'holds already');
  const rest = replicas.filter((it) => it !== popped);
  return pushed === undefined ? rest : [...rest, pushed];
}
